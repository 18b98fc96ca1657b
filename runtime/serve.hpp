// SPDX-License-Identifier: Apache-2.0
//
// The life of the program around a started node: signals become calls until the node has ended.
//
//   TERM, INT  stop fast              QUIT  stop gracefully
//   HUP        reload                 USR1  open the logs again
//   USR2       another binary takes over, where there is `upgrade`; WINCH is logged and ignored
//
// Reloads and upgrades have a thread of their own, so that a stop is heard while a release loads;
// several HUPs during one make one more.
//
// Source   https://nginx.org/en/docs/control.html; the log lines are ngx_signal_handler()'s.
// Thread   main; calls the actions from main, `reload` and `wait` from threads of its own.
// Called   by runtime/commands/run and runtime/nginx_invocation.
#pragma once

#include "runtime/signals.hpp"
#include "troupe/node.hpp"

#include <functional>

namespace troupe {

/// What serve() asks of a node: its functions of the same names.
struct served {
  std::function<void(stop_mode)> stop;
  std::function<int()> wait;
  std::function<tl::expected<void, diagnostics>()> reload;
  std::function<void()> reopen_logs;
  std::function<void()> upgrade;  ///< May be none.
  std::function<const net::log_context&()> log;  ///< May be another one after a reload.
};

/// Of a node that outlives it.
inline served serve_node(node& node) {
  return {.stop = [&node](stop_mode mode) { node.stop(mode); },
          .wait = [&node] { return node.wait(); },
          .reload = [&node] { return node.reload(); },
          .reopen_logs = [&node] { node.reopen_logs(); },
          .upgrade = {},
          .log = [&node]() -> const net::log_context& { return node.log(); }};
}

/// @return what wait() returned.
int serve(signals& queue, const served& actions);

/// Logs each as one line, `[emerg] REASON in FILE:LINE`.
void log_all(const net::log_context& log, const diagnostics& problems);

}  // namespace troupe
