// SPDX-License-Identifier: Apache-2.0
//
// The content of a location without a handler of its own: files below `root`, `index` for folders.
//
// Source   ngx_http_static_module, ngx_http_index_module.
// Thread   shard; files are read in pieces, as fast as the client takes them.
#pragma once

#include "actors/stage.hpp"

namespace troupe::actors {

class static_file_stage final : public stage {
public:
  static_file_stage(caf::actor_config& config, shard& home) : stage(config, home) {}
  verdict handle(exchange_box& box) override;
  const char* name() const override { return "troupe.static_file_stage"; }
};

}  // namespace troupe::actors
