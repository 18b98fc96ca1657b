// SPDX-License-Identifier: Apache-2.0
//
// Those of a VM who wait for a config value to change: troupe.config.watch runs on it. All wake
// together and look for themselves what has changed.
//
// Source   docs/lua-api.md, "Config values".
// Thread   that of the VM.
// Called   by lua/api/config.cpp (waiting), actors/shard_release (telling).
#pragma once

#include <lua.hpp>

#include <cstdint>

#include "lua/wait_table.hpp"

namespace troupe::net {
class live_config;
}

namespace troupe::lua {

class script_host;

class config_watch {
 public:
  /// Use as `return wait(L, values, seen)`: true once the version is another than `seen`; false:
  /// the release retires, nobody will be told any more.
  int wait(lua_State* state, const net::live_config& values, std::uint64_t seen);

  /// The values have changed.
  void tell() noexcept { wake_all(); }
  /// The release retires: who waits is woken, and who would wait is not let.
  void end() noexcept;
  /// It serves again.
  void begin() noexcept { has_ended_ = false; }

 private:
  struct waiter {
    config_watch* of = nullptr;  ///< Null: out of the list.
    script_host* host = nullptr;
    wait_token token = wait_token::none;
    waiter* next = nullptr;
    waiter* previous = nullptr;
    const config_watch* watch = nullptr;
  };
  static int finish(lua_State* state, void* operation);
  static void cancel(void* operation) noexcept;
  void leave(waiter& one) noexcept;
  void wake_all() noexcept;

  waiter* first_ = nullptr;
  bool has_ended_ = false;
};

}  // namespace troupe::lua
