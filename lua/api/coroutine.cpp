// SPDX-License-Identifier: Apache-2.0
//
// coroutine.* and ngx.thread.*: as in plain Lua, but scheduled by the script, so that a wait inside
// a coroutine suspends the light thread as a whole.
//
// Source   Lua 5.1 manual section 5.2; "ngx.thread.spawn", "ngx.thread.wait", "ngx.thread.kill" and
//          "coroutine.create" of ngx_lua's README.
// Thread   that of the VM.
#include <cstddef>
#include <cstring>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"

namespace troupe::lua {
namespace {

// What Lua's own `coroutine` does, for code that runs outside any script or below a C function,
// where the script cannot schedule.
int call_original(lua_State* state, const char* name) {
  const int count = lua_gettop(state);
  lua_getfield(state, LUA_REGISTRYINDEX, "troupe.coroutine");
  lua_getfield(state, -1, name);
  lua_remove(state, -2);
  lua_insert(state, 1);
  lua_call(state, count, LUA_MULTRET);
  return lua_gettop(state);
}

void check_function(lua_State* state, int index) {
  if (!lua_isfunction(state, index) || lua_iscfunction(state, index)) {
    luaL_argerror(state, index, "Lua function expected");
  }
}

lua_State* check_coroutine(lua_State* state, int index) {
  lua_State* co = lua_tothread(state, index);
  if (co == nullptr) luaL_argerror(state, index, "coroutine expected");
  return co;
}

// create(function, is wrapped)
int create(lua_State* state) {
  const bool is_wrapped = lua_toboolean(state, 2) != 0;
  lua_settop(state, 1);
  check_function(state, 1);
  coroutine* creator = script::of(state);
  if (creator == nullptr) return call_original(state, "create");
  creator->owner->create(state, is_wrapped);
  return 1;
}

const char* status_of(lua_State* state, lua_State* co) {
  const coroutine* record = script::of(co);
  if (record != nullptr) {
    switch (record->status) {
      case coroutine_state::suspended: return "suspended";
      case coroutine_state::running: return co == state ? "running" : "normal";
      case coroutine_state::normal: return "normal";
      case coroutine_state::waiting:
      case coroutine_state::ready: return "running";
      case coroutine_state::zombie: return "zombie";
      case coroutine_state::dead: return "dead";
    }
  }
  if (co == state) return "running";
  if (coroutine_mark::of(co).has_ended()) return "zombie";
  switch (lua_status(co)) {
    case LUA_YIELD: return "suspended";
    case 0: {
      lua_Debug frame;
      if (lua_getstack(co, 0, &frame) > 0) return "normal";
      return lua_gettop(co) == 0 ? "dead" : "suspended";
    }
    default: return "dead";
  }
}

int status(lua_State* state) {
  lua_pushstring(state, status_of(state, check_coroutine(state, 1)));
  return 1;
}

int resume(lua_State* state) {
  lua_State* target = check_coroutine(state, 1);
  coroutine* resumer = script::of(state);
  if (resumer == nullptr) return call_original(state, "resume");
  coroutine* child = script::of(target);
  const char* now = status_of(state, target);
  if (std::strcmp(now, "suspended") != 0) {
    lua_pushboolean(state, 0);
    lua_pushfstring(state, "cannot resume %s coroutine", now);
    return 2;
  }
  script& owner = *resumer->owner;
  if (child == nullptr) {
    const auto mark = coroutine_mark::of(target);
    if (!mark.is_suspended() || mark.script != owner.id()) return luaL_error(state, "no co ctx found");
    child = &owner.activate(target);
  } else if (child->owner != &owner) {
    return luaL_error(state, "no co ctx found");
  }
  if (!resumer->is_nested && lua_isyieldable(state)) {
    return script::resume_child(state, *child, lua_gettop(state) - 1);
  }
  // Below a C function: plain resume, and the child cannot wait.
  struct nested {
    coroutine& co;
    explicit nested(coroutine& one) : co(one) {
      co.is_nested = true;
      co.status = coroutine_state::running;
    }
    ~nested() {
      co.is_nested = false;
      if (lua_status(co.state) == LUA_YIELD) co.owner->suspend(co);
      else co.owner->release(co, false);
    }
  } const below(*child);
  return call_original(state, "resume");
}

int yield(lua_State* state) { return script::yield_to_parent(state); }

int running(lua_State* state) {
  lua_pushthread(state);
  return 1;
}

coroutine* check_thread(lua_State* state, int index) {
  lua_State* thread = lua_tothread(state, index);
  if (thread == nullptr) luaL_argerror(state, index, "lua thread expected");
  return script::of(thread);
}

int spawn(lua_State* state) {
  check_function(state, 1);
  if (script::of(state) == nullptr) return luaL_error(state, "no request ctx found");
  if (!lua_isyieldable(state)) return script::refuse_wait(state);
  return script::spawn(state);
}

int wait(lua_State* state) {
  const int count = lua_gettop(state);
  if (count == 0) return luaL_error(state, "at least one coroutine should be specified");
  coroutine* self = script::of(state);
  if (self == nullptr) return luaL_error(state, "no request ctx found");
  for (int i = 1; i <= count; ++i) {
    coroutine* thread = check_thread(state, i);
    if (thread == nullptr) {
      const auto mark = coroutine_mark::of(lua_tothread(state, i));
      if (mark.is_suspended()) {
        return luaL_error(state, "attempt to wait on a coroutine that is not a user thread");
      }
      if (mark.has_ended() && mark.script == self->owner->id() && mark.id != self->id) {
        return luaL_error(state, "only the parent coroutine can wait on the thread");
      }
      continue;
    }
    if (thread->kind != coroutine_kind::thread) {
      return luaL_error(state, "attempt to wait on a coroutine that is not a user thread");
    }
    if (thread->parent != self) {
      return luaL_error(state, "only the parent coroutine can wait on the thread");
    }
  }
  if (!lua_isyieldable(state)) return script::refuse_wait(state);
  return script::wait_thread(state);
}

int fail(lua_State* state, const char* text) {
  lua_pushnil(state);
  lua_pushstring(state, text);
  return 2;
}

int kill(lua_State* state) {
  coroutine* self = script::of(state);
  if (self == nullptr) return luaL_error(state, "no request ctx found");
  coroutine* thread = check_thread(state, 1);
  if (thread == nullptr) {
    lua_State* one = lua_tothread(state, 1);
    const auto mark = coroutine_mark::of(one);
    if (mark.is_suspended()) return fail(state, "not user thread");
    if (!mark.has_ended() || mark.script != self->owner->id()) {
      return fail(state, "already waited or killed");
    }
    if (mark.id != self->id) return fail(state, "killer not parent");
    lua_settop(one, 0);
    coroutine_mark{}.set(one);
    return fail(state, "already terminated");
  }
  if (thread->kind != coroutine_kind::thread) return fail(state, "not user thread");
  if (thread->parent != self) return fail(state, "killer not parent");
  if (thread->pinned != nullptr) return fail(state, thread->pinned);
  return script::kill_thread(state, *thread);
}

// keep(original): Lua's own functions, for call_original.
int keep(lua_State* state) {
  lua_settop(state, 1);
  lua_setfield(state, LUA_REGISTRYINDEX, "troupe.coroutine");
  return 0;
}

constexpr luaL_Reg functions[] = {{"create", create},
                                  {"resume", resume},
                                  {"yield", yield},
                                  {"status", status},
                                  {"running", running},
                                  {"spawn", spawn},
                                  {"wait", wait},
                                  {"kill", kill},
                                  {"keep", keep},
                                  {nullptr, nullptr}};

}  // namespace

const api_area coroutine_area{.name = "coroutine",
                              .cdef = {},
                              .table = nullptr,
                              .source = {
#include "lua/api/coroutine.lua.inc"
                              },
                              .functions = functions};

}  // namespace troupe::lua
