// SPDX-License-Identifier: Apache-2.0
//
// Those of a VM who wait for something of the node to change, which has a version: config values, the
// cluster. troupe.config.watch and troupe.cluster.subscribe run on it. All wake together and look for
// themselves what has changed.
//
// Source   docs/lua-api.md, "Config values" and "The cluster".
// Thread   that of the VM.
// Called   by lua/api/config.cpp, lua/api/cluster.cpp (waiting), runtime/node (telling).
#pragma once

#include <lua.hpp>

#include <cstdint>

#include "lua/wait_table.hpp"

namespace troupe::lua {

class script_host;

class change_watch {
 public:
  /// Use as `return wait(L, has_changed)`: true once tell() is called, or at once if it has changed
  /// already; false: the release retires, nobody will be told any more.
  int wait(lua_State* state, bool has_changed);

  /// It has changed.
  void tell() noexcept { wake_all(); }
  /// The release retires: who waits is woken, and who would wait is not let.
  void end() noexcept;
  /// It serves again.
  void begin() noexcept { has_ended_ = false; }

 private:
  struct waiter {
    change_watch* of = nullptr;  ///< Null: out of the list.
    script_host* host = nullptr;
    wait_token token = wait_token::none;
    waiter* next = nullptr;
    waiter* previous = nullptr;
    const change_watch* watch = nullptr;
  };
  static int finish(lua_State* state, void* operation);
  static void cancel(void* operation) noexcept;
  void leave(waiter& one) noexcept;
  void wake_all() noexcept;

  waiter* first_ = nullptr;
  bool has_ended_ = false;
};

}  // namespace troupe::lua
