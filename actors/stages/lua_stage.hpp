// SPDX-License-Identifier: Apache-2.0
//
// The stage of a `*_by_lua` handler: runs a chunk as the exchange's script and turns how it ended
// into a verdict.
//
// Source   the directives of these names in ngx_lua's README; "ngx.exit" there.
// Thread   shard.
#pragma once

#include "actors/site.hpp"
#include "actors/stage.hpp"

namespace troupe::actors {

struct lua_handler {
  lua::phase where = lua::phase::content;
  lua_code code;
};

class lua_stage final : public stage {
public:
  lua_stage(caf::actor_config& config, shard& home, lua_handler handler)
      : stage(config, home), handler_(std::move(handler)) {}

  verdict handle(exchange_box& box) override;
  const char* name() const override { return "troupe.lua_stage"; }

private:
  verdict start(exchange_box& box);
  verdict judge(exchange_box& box);
  verdict judge_exit(exchange_box& box, int code);

  lua_handler handler_;
};

/// What an access handler's answer means under `satisfy`.
/// @param status  0: granted; -5: no opinion; else the refusal.
verdict judge_access(exchange_box& box, int status);

}  // namespace troupe::actors
