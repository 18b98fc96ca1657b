// SPDX-License-Identifier: Apache-2.0
//
// A bare Lua state with some areas of the API in it, without a VM, an exchange or an event loop.
//
// Thread   that of the test.
#pragma once

#include <initializer_list>
#include <string>

#include "lua/api/areas.hpp"

namespace troupe::lua {

class vm;

class api_state {
 public:
  explicit api_state(std::initializer_list<const api_area*> areas, vm* machine = nullptr);
  ~api_state();
  api_state(const api_state&) = delete;
  api_state& operator=(const api_state&) = delete;

  /// What a chunk named "test" returns, as ngx.say would show it, several values separated by a
  /// comma and a space; what it raises, after "raised: ". Without a call around it.
  [[nodiscard]] std::string run(const std::string& code);
  /// The number of traces that the compiler has made while the chunk ran.
  [[nodiscard]] int traces(const std::string& code);

  [[nodiscard]] lua_State* state() const noexcept { return state_; }

 private:
  lua_State* state_ = nullptr;
};

}  // namespace troupe::lua
