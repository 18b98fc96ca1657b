// SPDX-License-Identifier: Apache-2.0
//
// ngx.timer.at, every, pending_count, running_count.
//
// Source   the sections of these names in ngx_lua's README.
// Thread   that of the VM.
#include <cstddef>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/timer_set.hpp"
#include "lua/vm.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {
namespace {

timer_set& check_timers(lua_State* state) {
  if (current.running == nullptr || !current.machine->timers().is_attached()) {
    luaL_error(state, "no request");
  }
  return current.machine->timers();
}

timer_origin origin_of_caller() {
  if (const net::exchange* x = current.exchange; x != nullptr) {
    return {std::string(x->client.remote_addr), std::string(x->client.listener), x->log_target, x->settings};
  }
  if (const timer_origin* above = current.running->origin) return *above;
  return {{}, {}, current.machine->options().log, current.machine->options().settings};
}

int add(lua_State* state, bool repeats) {
  const int count = lua_gettop(state);
  if (count < 2) {
    return luaL_error(state, "expecting at least 2 arguments but got %d", count);
  }
  const double seconds = luaL_checknumber(state, 1);
  luaL_argcheck(state, seconds >= 0, 1, "delay cannot be negative");
  const double ms = seconds * 1000;
  luaL_argcheck(state, ms < 1e15, 1, "delay too large");
  const auto delay = static_cast<std::int64_t>(ms);
  if (repeats && delay == 0) return luaL_error(state, "delay cannot be zero");
  luaL_argcheck(state, lua_isfunction(state, 2) && !lua_iscfunction(state, 2), 2,
                "Lua function expected");
  timer_set& timers = check_timers(state);
  if (current.running->where() == phase::exit_worker) {
    return luaL_error(state, "API disabled in the context of %s",
                      directive_name(phase::exit_worker).data());
  }
  if (const char* refusal = timers.add(state, count - 1, delay, repeats, origin_of_caller())) {
    lua_pushnil(state);
    lua_pushstring(state, refusal);
    return 2;
  }
  lua_pushinteger(state, 1);
  return 1;
}

int at(lua_State* state) { return add(state, false); }
int every(lua_State* state) { return add(state, true); }

int pending_count(lua_State* state) {
  lua_pushinteger(state, check_timers(state).pending());
  return 1;
}

int running_count(lua_State* state) {
  lua_pushinteger(state, check_timers(state).running());
  return 1;
}

constexpr luaL_Reg functions[] = {{"at", at},
                                  {"every", every},
                                  {"pending_count", pending_count},
                                  {"running_count", running_count},
                                  {nullptr, nullptr}};

}  // namespace

const api_area timer_area{.name = "timer",
                          .cdef = {},
                          .table = nullptr,
                          .source = "local _, ngx, native = ...\nngx.timer = native\n",
                          .functions = functions};

}  // namespace troupe::lua
