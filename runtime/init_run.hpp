// SPDX-License-Identifier: Apache-2.0
//
// A run of init_by_lua in a VM that is being built, with a limit: code that waits too long is given up
// by the loop that it waits on, code that loops is interrupted by whoever watches it from outside.
//
// What init compiles to machine code looks at interrupts, too (lua/interrupt).
//
// Source   docs/directives.md, lua_init_timeout; lua/slice for how code is interrupted.
// Thread   run(): a loader's; the rest: any, between its construction and its end.
// Errors   the script's error, or that it took too long.
// Called   by runtime/machine_builder.
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "lua/script.hpp"
#include "lua/slice.hpp"
#include "lua/vm.hpp"

namespace troupe {

class init_run {
 public:
  using clock = std::chrono::steady_clock;

  /// @param most_ms  0: any time.
  init_run(lua::vm& machine, std::int64_t most_ms);
  ~init_run();
  init_run(const init_run&) = delete;
  init_run& operator=(const init_run&) = delete;

  /// @return the error; empty: it went well.
  std::string run(int chunk, const net::log_context& log);

  /// Gives it up, as another one has failed.
  void cancel();
  /// To be called now and then: interrupts code that has looped for too long.
  void look(clock::time_point now) noexcept;

 private:
  class host;

  lua::vm& machine_;
  const std::int64_t most_ms_;
  const clock::time_point started_;
  const pthread_t thread_;
  lua::slice counter_;
  std::atomic<bool> cancelled_{false};
  std::unique_ptr<host> host_;
};

}  // namespace troupe
