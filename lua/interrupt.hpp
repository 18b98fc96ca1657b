// SPDX-License-Identifier: Apache-2.0
//
// Makes the Lua code of a VM stop at its next safe place and call a function of ours, also when that
// code is a loop that LuaJIT has compiled: in a VM that was opened for it, compiled code looks once a
// line at the bit that LuaJIT's profiler sets, leaves for the interpreter when it is there, and the
// interpreter calls the hook.
//
// Source   lua_sethook() from a signal handler is what LuaJIT's own command line does; "Low-level C API"
//          of its profiler (luaJIT_profile_start, mode `l`), whose timer is not used.
// Thread   open(): any, then that of the VM; raise() also from a signal handler on it.
// Errors   a build of LuaJIT in which the bit is not found is interrupted in interpreted code only.
// Called   by lua/vm, runtime/init_run; lua/slice and lua/memory_cap raise.
#pragma once

#include <lua.hpp>

#include <atomic>

namespace troupe::lua {

class interrupt {
public:
  static constexpr unsigned slice = 1;   ///< The script has run for too long.
  static constexpr unsigned memory = 2;  ///< A full collection is due.
  static constexpr unsigned init = 4;    ///< init_by_lua has taken too long.

  /// From here on code is compiled so that it can be interrupted. What was compiled is dropped.
  void open(lua_State* main);
  /// Code is compiled without that again.
  void close();
  [[nodiscard]] bool is_open() const noexcept { return main_ != nullptr; }
  [[nodiscard]] bool reaches_compiled_code() const noexcept { return mask_ != nullptr; }

  void raise(unsigned reason) noexcept;
  /// @return the reasons since the last time.
  unsigned lower() noexcept;
  /// Whom it was raised for has ended: nobody else is to be stopped for that.
  void withdraw(unsigned reason) noexcept {
    if ((reasons_.load(std::memory_order_relaxed) & reason) == 0) return;
    if (const unsigned others = lower() & ~reason; others != 0) raise(others);
  }
  /// The hook is about to raise an error, whose xpcall handler can be interrupted itself.
  void leave_hook() noexcept {
    if (mask_ != nullptr) __atomic_and_fetch(mask_, static_cast<unsigned char>(~0x10), __ATOMIC_RELAXED);
  }

private:
  static int check_again(lua_State* state);

  lua_State* main_ = nullptr;
  unsigned char* mask_ = nullptr;  ///< LuaJIT's byte of hooks; null: not found.
  std::atomic<unsigned> reasons_{0};
};

}  // namespace troupe::lua
