// SPDX-License-Identifier: Apache-2.0
//
// The record of one Lua coroutine that a script runs: the entry of a phase's handler, a light
// thread (ngx.thread.spawn) or a coroutine of the user (coroutine.create).
//
// Thread   that of its script.
// Memory   owned by its script; the Lua thread is anchored in the registry as long as the record
//          lives. Found from Lua's side by lua_getexdata2.
#pragma once

#include <lua.hpp>

#include "lua/wait_table.hpp"
#include "net/timer_wheel.hpp"

namespace troupe::lua {

class script;

enum class coroutine_kind { entry, thread, user };
/// coroutine.status() of the same names; `waiting` shows as "suspended" or "running" of Lua's view.
enum class coroutine_state { suspended, running, normal, waiting, ready, zombie, dead };

struct coroutine {
  lua_State* state = nullptr;
  int anchor = LUA_NOREF;
  coroutine_kind kind = coroutine_kind::entry;
  coroutine_state status = coroutine_state::suspended;
  script* owner = nullptr;
  coroutine* parent = nullptr;  ///< Who resumed (user) or spawned (thread) it.

  // The wait, if status == waiting.
  wait_token token = wait_token::none;
  /// Pushes the results that the Lua call shall return; returns their number. Null: none.
  int (*finish)(lua_State* state, void* operation) = nullptr;
  /// Ends the operation when the coroutine dies before it. Null: nothing to end.
  void (*cancel)(void* operation) noexcept = nullptr;
  void* operation = nullptr;
  /// Why it must not be killed while it waits; null: it may be.
  const char* pinned = nullptr;

  /// Light threads: which one its parent waits for, and how many values it ended with.
  coroutine* waits_for = nullptr;
  bool waits_for_any = false;
  bool succeeded = false;
  /// Resumed by plain coroutine.resume below a C function: it cannot wait.
  bool is_nested = false;
  /// Made by coroutine.wrap: its errors are its resumer's.
  bool is_wrapped = false;
  int pending_arguments = 0;

  /// For waits that are or have a time-out.
  struct wake_timer : net::timer {
    coroutine* self = nullptr;
    void on_timer() noexcept override;
  } timer;
};

}  // namespace troupe::lua
