// SPDX-License-Identifier: Apache-2.0
//
// What Lua code of this thread runs for right now. Set at each resume of a coroutine, read by the
// functions of the ngx API; the one thread_local of the project.
//
// Thread   each thread has its own.
// Called   set by lua/script; read by lua/api/*.
#pragma once

namespace troupe::net {
class cached_clock;
class exchange;
class log_context;
}  // namespace troupe::net

namespace troupe::lua {

class script;
class vm;

struct run_context {
  vm* machine = nullptr;               ///< The VM whose code runs; null: none does.
  script* running = nullptr;           ///< The script that was resumed.
  net::exchange* exchange = nullptr;   ///< Null in init, timers and other code without a request.
  const net::log_context* log = nullptr;  ///< Where ngx.log of this code goes; null: nowhere.
  net::cached_clock* clock = nullptr;  ///< The thread's clock; null: ask the system.
};

extern constinit thread_local run_context current;

}  // namespace troupe::lua
