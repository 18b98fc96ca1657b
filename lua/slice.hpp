// SPDX-License-Identifier: Apache-2.0
//
// How long Lua code of a shard has been running without a wait: `lua_max_slice`. The shard counts; a
// watchdog on another thread looks whether the count stands still, and interrupts.
//
// Source   docs/directives.md, lua_max_slice; lua_sethook() from a signal handler is what LuaJIT's own
//          command line does.
// Thread   serial: written by the shard; the rest: any.
// Called   by lua/script; actors/slice_watchdog.
#pragma once

#include <atomic>
#include <cstdint>

namespace troupe::lua {

struct slice {
  std::atomic<std::uint64_t> serial{0};   ///< Odd while Lua code runs.
  std::atomic<std::uint64_t> overdue{0};  ///< The serial of one that has run too long.
  std::int64_t init_ms = 0;  ///< It is init_by_lua that runs, which has so long: then it must end.

  void begin() noexcept { step(); }
  void end() noexcept { step(); }

private:
  void step() noexcept {
    serial.store(serial.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
};

/// Makes this thread's Lua code stop at its next instruction and look at itself. For a signal
/// handler.
void interrupt_slice() noexcept;

}  // namespace troupe::lua
