// SPDX-License-Identifier: Apache-2.0
//
// Asks another location whether the client may come in: 2xx lets it, 401 and 403 do not.
//
// Source   https://nginx.org/en/docs/http/ngx_http_auth_request_module.html.
// Thread   shard.
#pragma once

#include <memory>

#include "actors/stage.hpp"
#include "net/complex_value.hpp"

namespace troupe::actors {

class auth_request_stage final : public stage {
public:
  auth_request_stage(caf::actor_config& config, shard& home,
                     std::shared_ptr<const net::complex_value> uri)
      : stage(config, home), uri_(std::move(uri)) {}

  verdict handle(exchange_box& box) override;
  const char* name() const override { return "troupe.auth_request_stage"; }

private:
  std::shared_ptr<const net::complex_value> uri_;
};

}  // namespace troupe::actors
