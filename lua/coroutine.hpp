// SPDX-License-Identifier: Apache-2.0
//
// The record of one Lua coroutine that a script runs: the entry of a phase's handler, a light
// thread (ngx.thread.spawn) or a coroutine of the user (coroutine.create). Only those that are under way
// have one; a user's coroutine that is suspended, and a light thread that has ended and was not waited
// for, belong to Lua's collector alone and bear a mark instead.
//
// Thread   that of its script.
// Memory   owned by its script. Entries and light threads are anchored in the registry as long as the
//          record lives, a user's coroutine by the stack of its resumer, or when that is gone. Found
//          from Lua's side by lua_getexdata2.
#pragma once

#include <lua.hpp>

#include <cstddef>
#include <cstdint>

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
  std::uint64_t id = 0;         ///< Of the Lua thread; unique in the VM.
  std::uint64_t parent_id = 0;  ///< Of who spawned it, also when that has ended.
  std::size_t place = 0;        ///< Index in the script's list.
  unsigned dependents = 0;      ///< How many records have it as their parent.

  // The wait, if status == waiting.
  wait_token token = wait_token::none;
  /// Pushes the results that the Lua call shall return; returns their number. Null: none.
  int (*finish)(lua_State* state, void* operation) = nullptr;
  /// Ends the operation when the coroutine dies before it. Null: nothing to end.
  void (*cancel)(void* operation) noexcept = nullptr;
  void* operation = nullptr;
  /// Why it must not be killed while it waits; null: it may be.
  const char* pinned = nullptr;

  /// Whether it waits for light threads, and the number of that wait.
  bool waits_for_any = false;
  unsigned wait_number = 0;
  /// Light threads: the number of the wait of its parent that it ends.
  unsigned awaited_by = 0;
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

  /// As a new one, but for the timer, which is not armed.
  void reset() noexcept {
    state = nullptr;
    anchor = LUA_NOREF;
    kind = coroutine_kind::entry;
    status = coroutine_state::suspended;
    owner = nullptr;
    parent = nullptr;
    id = parent_id = 0;
    dependents = 0;
    token = wait_token::none;
    finish = nullptr;
    cancel = nullptr;
    operation = nullptr;
    pinned = nullptr;
    waits_for_any = is_nested = is_wrapped = false;
    wait_number = awaited_by = 0;
    pending_arguments = 0;
  }
};

/// The mark of a coroutine without a record, in what lua_getexdata2 (state and id) and lua_getexdata
/// (script) hold of it.
struct coroutine_mark {
  enum kind : std::uintptr_t { none, suspended, suspended_wrapped, ended, broke };

  kind what = none;
  std::uint64_t id = 0;      ///< Its own while suspended, that of who spawned it when it has ended.
  std::uint64_t script = 0;  ///< The run of a script that it belongs to.

  static coroutine_mark of(lua_State* state) noexcept {
    const auto word = reinterpret_cast<std::uintptr_t>(lua_getexdata2(state));
    if ((word & mask) == 0) return {};
    return {static_cast<kind>(word & mask), word >> bits,
            reinterpret_cast<std::uintptr_t>(lua_getexdata(state))};
  }
  void set(lua_State* state) const noexcept {
    lua_setexdata2(state, reinterpret_cast<void*>(static_cast<std::uintptr_t>(id) << bits | what));
    lua_setexdata(state, reinterpret_cast<void*>(static_cast<std::uintptr_t>(script)));
  }
  [[nodiscard]] bool is_suspended() const noexcept {
    return what == suspended || what == suspended_wrapped;
  }
  [[nodiscard]] bool has_ended() const noexcept { return what == ended || what == broke; }

  static constexpr unsigned bits = 3;  // Records lie at multiples of eight.
  static constexpr std::uintptr_t mask = 7;
};

}  // namespace troupe::lua
