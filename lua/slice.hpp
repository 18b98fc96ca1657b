// SPDX-License-Identifier: Apache-2.0
//
// How long Lua code of a shard has been running without a wait: `lua_max_slice`. The shard counts; a
// watchdog on another thread looks whether the count stands still, and interrupts.
//
// Source   docs/directives.md, lua_max_slice.
// Thread   serial: written by the shard; the rest: any.
// Called   by lua/script, lua/interrupt; actors/slice_watchdog.
#pragma once

#include <lua.hpp>

#include <atomic>
#include <cstdint>

namespace troupe::lua {

struct slice {
  /// An exchange that goes on after so many errors less one is ended by the last.
  static constexpr int most_errors = 3;

  std::atomic<std::uint64_t> serial{0};   ///< Odd while Lua code runs.
  std::atomic<std::uint64_t> overdue{0};  ///< The serial of one that has run too long.
  std::int64_t init_ms = 0;  ///< It is init_by_lua that runs, which has so long: then it must end.
  std::atomic<std::uint64_t> warnings{0};  ///< How many scripts were found that ran too long,
  std::atomic<std::uint64_t> kills{0};     ///< and how often an error was raised in one.

  void begin() noexcept { step(); }
  void end() noexcept { step(); }

private:
  void step() noexcept {
    serial.store(serial.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
};

/// Makes this thread's Lua code stop at its next safe place and look at itself. For a signal handler.
void interrupt_slice() noexcept;

/// Raises the error that ends init_by_lua. Of the hook.
void end_init(lua_State* state);
/// Logs that the code has run too long, and raises an error if it is to be killed. Of the hook.
void end_slice(lua_State* state);

}  // namespace troupe::lua
