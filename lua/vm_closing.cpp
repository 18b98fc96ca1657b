// SPDX-License-Identifier: Apache-2.0
#include "lua/vm_closing.hpp"

namespace troupe::lua {
namespace {

/// The first ends a cycle that was under way, the second sees what was forgotten, the third frees
/// what finalizers had kept.
constexpr int cycles_needed = 3;

/// Removes the fields of the table on top of the stack whose key is of this type; -1: all.
void clear(lua_State* state, int key_type) {
  lua_pushnil(state);
  while (lua_next(state, -2) != 0) {
    lua_pop(state, 1);
    if (key_type >= 0 && lua_type(state, -1) != key_type) continue;
    lua_pushvalue(state, -1);
    lua_pushnil(state);
    lua_rawset(state, -4);
  }
}

}  // namespace

// Metatables and the like have names in the registry: finalizers look for them there.
int vm_closing::forget_modules(lua_State* state) {
  lua_gc(state, LUA_GCRESTART, 0);
  lua_getfield(state, LUA_REGISTRYINDEX, "_LOADED");
  if (lua_istable(state, -1)) clear(state, -1);
  lua_pop(state, 1);
  lua_pushvalue(state, LUA_REGISTRYINDEX);
  clear(state, LUA_TNUMBER);
  return 0;
}

int vm_closing::forget_globals(lua_State* state) {
  lua_pushvalue(state, LUA_GLOBALSINDEX);
  lua_pushnil(state);
  lua_setmetatable(state, -2);
  clear(state, -1);
  return 0;
}

int vm_closing::collect(lua_State* state) {
  *static_cast<bool*>(lua_touserdata(state, 1)) = lua_gc(state, LUA_GCSTEP, 0) != 0;
  return 0;
}

bool vm_closing::go_on(std::chrono::microseconds slice) noexcept {
  const auto until = std::chrono::steady_clock::now() + slice;
  while (part_ != part::done) {
    if (!has_forgotten_) {
      lua_cpcall(main_, part_ == part::modules ? forget_modules : forget_globals, nullptr);
      has_forgotten_ = true;
    }
    is_over_ = false;
    if (lua_cpcall(main_, collect, &is_over_) != 0) lua_pop(main_, 1);
    if (is_over_ && ++cycles_ == cycles_needed) {
      part_ = part_ == part::modules ? part::globals : part::done;
      has_forgotten_ = false;
      cycles_ = 0;
    }
    if (std::chrono::steady_clock::now() >= until) break;
  }
  return part_ == part::done;
}

}  // namespace troupe::lua
