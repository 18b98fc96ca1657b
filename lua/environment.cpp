// SPDX-License-Identifier: Apache-2.0
#include "lua/environment.hpp"

namespace troupe::lua {
namespace {

// Upvalues: the values, and the function for all other names or nil.
int get(lua_State* state) {
  luaL_checkstring(state, 1);
  lua_settop(state, 1);
  lua_pushvalue(state, 1);
  lua_rawget(state, lua_upvalueindex(1));
  if (!lua_isnil(state, -1) || lua_isnil(state, lua_upvalueindex(2))) return 1;
  lua_pushvalue(state, lua_upvalueindex(2));
  lua_pushvalue(state, 1);
  lua_call(state, 1, 1);
  return 1;
}

}  // namespace

void install(lua_State* state, const environment& what) {
  if (what.values.empty() && !what.is_whole) return;
  lua_getglobal(state, "os");
  lua_createtable(state, 0, static_cast<int>(what.values.size()));
  for (const auto& [name, value] : what.values) {
    lua_pushlstring(state, name.data(), name.size());
    lua_pushlstring(state, value.data(), value.size());
    lua_rawset(state, -3);
  }
  if (what.is_whole) {
    lua_pushnil(state);
  } else {
    lua_getfield(state, -2, "getenv");
  }
  lua_pushcclosure(state, get, 2);
  lua_setfield(state, -2, "getenv");
  lua_pop(state, 1);
}

}  // namespace troupe::lua
