// SPDX-License-Identifier: Apache-2.0
//
// require, so that modules may wait while they are loaded.
//
// Source   Lua 5.1 manual section 5.3.
// Thread   that of the VM.
#include <cstddef>

#include "lua/api/areas.hpp"
#include "lua/script.hpp"

namespace troupe::lua {
namespace {

// remember(error) -> error. The traceback of where it happened outlives its being raised again.
int remember(lua_State* state) {
  lua_settop(state, 1);
  if (coroutine* co = script::of(state)) script::remember_error(*co);
  return 1;
}

constexpr luaL_Reg functions[] = {{"remember", remember}, {nullptr, nullptr}};

}  // namespace

const api_area require_area{.name = "require",
                            .cdef = {},
                            .table = nullptr,
                            .source = {
#include "lua/api/require.lua.inc"
                            },
                            .functions = functions};

}  // namespace troupe::lua
