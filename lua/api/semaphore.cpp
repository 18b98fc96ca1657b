// SPDX-License-Identifier: Apache-2.0
//
// The module ngx.semaphore: new, post, wait, count.
//
// Source   "ngx.semaphore" of lua-resty-core (its lib/ngx/semaphore.md).
// Thread   that of the VM.
#include "lua/semaphore.hpp"

#include <cstddef>
#include <new>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"

namespace troupe::lua {
namespace {

constexpr const char* type_name = "troupe.semaphore";

semaphore& check(lua_State* state) {
  return *static_cast<semaphore*>(luaL_checkudata(state, 1, type_name));
}

int collect(lua_State* state) {
  check(state).~semaphore();
  return 0;
}

// create(resources): semaphore.lua has checked all arguments.
int create(lua_State* state) {
  const auto resources = static_cast<std::int64_t>(lua_tonumber(state, 1));
  new (lua_newuserdata(state, sizeof(semaphore))) semaphore(resources);
  if (luaL_newmetatable(state, type_name) != 0) {
    lua_pushcfunction(state, collect);
    lua_setfield(state, -2, "__gc");
  }
  lua_setmetatable(state, -2);
  return 1;
}

int post(lua_State* state) {
  check(state).post(static_cast<std::int64_t>(lua_tonumber(state, 2)));
  return 0;
}

int count(lua_State* state) {
  lua_pushnumber(state, static_cast<lua_Number>(check(state).count()));
  return 1;
}

// wait(semaphore, ms)
int wait(lua_State* state) {
  semaphore& it = check(state);
  const auto ms = static_cast<std::int64_t>(lua_tonumber(state, 2));
  if (it.try_wait()) {
    lua_pushboolean(state, 1);
    return 1;
  }
  if (ms == 0) {
    lua_pushnil(state);
    lua_pushliteral(state, "timeout");
    return 2;
  }
  if (script::of(state) == nullptr) return luaL_error(state, "no request found");
  return it.wait(state, ms);
}

constexpr luaL_Reg functions[] = {
    {"create", create}, {"post", post}, {"count", count}, {"wait", wait}, {nullptr, nullptr}};

}  // namespace

const api_area semaphore_area{.name = "semaphore",
                              .cdef = {},
                              .table = nullptr,
                              .source = {
#include "lua/api/semaphore.lua.inc"
                              },
                              .functions = functions};

}  // namespace troupe::lua
