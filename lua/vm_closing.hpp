// SPDX-License-Identifier: Apache-2.0
//
// What makes closing a VM short: its objects are collected in slices, between which the shard
// serves. Scripts may not run in it any more; finalizers run as they would in lua_close(), those of
// the app's objects while its globals are still there.
//
// Source   lua_gc() of the Lua 5.1 manual; LuaJIT's lj_gc.c, whose collector is incremental.
// Thread   that of the VM.
// Errors   those of finalizers are dropped, as lua_close() drops them.
// Called   by actors/shard_release.
#pragma once

#include <lua.hpp>

#include <chrono>

namespace troupe::lua {

class vm_closing {
public:
  explicit vm_closing(lua_State* main) noexcept : main_(main) {}

  /// Goes on for about so long. @return whether it is done: little is left for lua_close().
  bool go_on(std::chrono::microseconds slice) noexcept;

private:
  enum class part { modules, globals, done };
  static int forget_modules(lua_State* state);
  static int forget_globals(lua_State* state);
  static int collect(lua_State* state);

  lua_State* main_;
  part part_ = part::modules;
  bool has_forgotten_ = false;
  bool is_over_ = false;  ///< A cycle, just now.
  int cycles_ = 0;        ///< Since something was forgotten.
};

}  // namespace troupe::lua
