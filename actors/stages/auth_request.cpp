// SPDX-License-Identifier: Apache-2.0
#include "actors/stages/auth_request.hpp"

#include "actors/shard_release.hpp"
#include "actors/stage_subrequest.hpp"
#include "actors/stages/lua_stage.hpp"

namespace troupe::actors {

verdict auth_request_stage::handle(exchange_box& box) {
  net::exchange& x = box.x;
  if (!x.stage_entered) {
    auto asked = std::make_unique<stage_subrequest>(box);
    asked->uri = uri_->evaluate(x, box.release->configuration().variables);
    box.subrequest = std::move(asked);
    return x.owner->start_subrequest(x, *box.subrequest) ? verdict::wait : finish(box, 500);
  }
  const std::unique_ptr<net::subrequest> answered = std::move(box.subrequest);
  const int status = answered->status;
  if (status >= 200 && status < 300) return judge_access(box, 0);
  if (status == 401) {
    for (const auto& [name, value] : answered->answer_headers) {
      if (net::equals_ignoring_case(name, "WWW-Authenticate")) {
        x.response_headers.set("WWW-Authenticate", x.keep(value));
      }
    }
  }
  if (status == 401 || status == 403) return judge_access(box, status);
  if (x.enabled(net::log_level::error)) {
    x.write(net::log_level::error, "auth request unexpected status: " + std::to_string(status));
  }
  return finish(box, 500);
}

}  // namespace troupe::actors
