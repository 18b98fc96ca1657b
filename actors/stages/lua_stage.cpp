// SPDX-License-Identifier: Apache-2.0
#include "actors/stages/lua_stage.hpp"

#include <cerrno>

#include "actors/exchange_actor.hpp"
#include "actors/shard_release.hpp"

namespace troupe::actors {

using lua::phase;
using net::exchange_owner;
using net::log_level;

namespace {
// Values of exchange.step.
constexpr std::uint32_t waits_for_body = 1;
constexpr std::uint32_t runs = 2;

// Its output is on its way, or in the hands of filters that wait.
bool has_answered(const net::exchange& x) {
  return x.header_sent || x.buffering_http10 || x.filter_run != x.filter_done;
}
}  // namespace

verdict judge_access(exchange_box& box, int status) {
  net::exchange& x = box.x;
  const bool any = x.settings->satisfy == net::satisfy_mode::any;
  if (status == -5) return verdict::next;
  if (status == 0) {
    if (!any) return verdict::next;
    x.access_code = 0;
    return verdict::skip_phase;
  }
  if (any && (status == 403 || status == 401)) {
    x.access_code = status;
    return verdict::next;
  }
  return finish(box, status);
}

verdict lua_stage::handle(exchange_box& box) {
  net::exchange& x = box.x;
  if (!x.stage_entered) {
    if (handler_.where != phase::log && x.settings->lua_need_request_body) {
      x.step = waits_for_body;
      switch (x.owner->read_body(x)) {
        case exchange_owner::progress::waiting: return verdict::wait;
        case exchange_owner::progress::failed: return finish(box, x.final_status);
        case exchange_owner::progress::done: break;
      }
    }
    return start(box);
  }
  if (x.step == waits_for_body) return start(box);
  return judge(box);
}

verdict lua_stage::start(exchange_box& box) {
  net::exchange& x = box.x;
  const auto chunk = handler_.code.find(box);
  if (!chunk) {
    if (handler_.where == phase::log) return verdict::next;
    return finish(box, chunk.error() == 0 ? 500 : chunk.error() == ENOENT ? 404 : 503);
  }
  x.step = runs;
  x.next = net::direction::onward;
  if (x.enabled(log_level::debug)) {
    x.write(log_level::debug, "lua " + std::string(lua::name(handler_.where)) + " handler, uri:\"" +
                                  std::string(x.uri) + "\" c:1");
  }
  if (!box.handler) box.handler.emplace(box.release->machine(), *box.owner);
  box.handler->start(*chunk, handler_.where, &x, x);
  return judge(box);
}

verdict lua_stage::judge(exchange_box& box) {
  net::exchange& x = box.x;
  lua::script& script = *box.handler;
  switch (script.state()) {
    case lua::script::progress::waiting:
      if (x.header_sent && !x.has_body_filter &&
          x.body_out.size() >= x.settings->postpone_output) {
        x.owner->flush(x);
      }
      return verdict::wait;
    case lua::script::progress::failed:
      if (x.enabled(log_level::error)) {
        x.write(log_level::error,
                handler_.where == phase::log
                    ? "failed to run log_by_lua*: " + script.error()
                    : "lua entry thread aborted: runtime error: " + script.error());
      }
      if (handler_.where == phase::log) return verdict::next;
      return finish(box, x.header_sent ? -1 : 500);
    case lua::script::progress::stopped:
      if (script.exited) return judge_exit(box, script.exit_code);
      return verdict::leave;
    case lua::script::progress::done: break;
  }
  switch (handler_.where) {
    case phase::content: return finish(box, 0);
    case phase::log: return verdict::next;
    default:
      // A handler that has said something has answered.
      if (has_answered(x) || x.failed) return finish(box, 0);
      return handler_.where == phase::access ? judge_access(box, 0) : verdict::next;
  }
}

verdict lua_stage::judge_exit(exchange_box& box, int code) {
  net::exchange& x = box.x;
  if (handler_.where == phase::content) return finish(box, code);
  if (code == 0 || code == -5) {
    if (has_answered(x)) return finish(box, 0);
    return handler_.where == phase::access ? judge_access(box, code) : verdict::next;
  }
  if (handler_.where == phase::access && code >= 300) return judge_access(box, code);
  return finish(box, code);
}

}  // namespace troupe::actors
