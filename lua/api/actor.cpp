// SPDX-License-Identifier: Apache-2.0
//
// troupe.self, send, receive, spawn, monitor: messages between requests, timers, workers and actors of
// a node.
//
// Source   docs/lua-api.md, "Messages" and "Actors".
// Thread   that of the VM.
#include <cstddef>

#include "lua/actor_runner.hpp"
#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/post_office.hpp"
#include "lua/script.hpp"
#include "lua/vm.hpp"

namespace troupe::lua {
namespace {

post_office& check_office(lua_State* state) {
  post_office* office =
      current.running != nullptr ? current.running->host().mail() : nullptr;
  if (office == nullptr) luaL_error(state, "no address here: no request, timer or worker runs");
  return *office;
}

mailbox& own_mailbox(lua_State* state) {
  post_office& office = check_office(state);
  return office.of(current.running->host().mail_owner(*current.running));
}

carried_message take_message(lua_State* state, int first) {
  carried_message message;
  for (int i = first; i <= lua_gettop(state); ++i) {
    auto value = carried_value::take(state, i);
    if (!value) luaL_argerror(state, i, value.error().c_str());
    message.push_back(std::move(*value));
  }
  return message;
}

mail_address check_address(lua_State* state, int index) {
  std::size_t size = 0;
  const char* text = luaL_checklstring(state, index, &size);
  const auto address = mail_address::parse({text, size});
  luaL_argcheck(state, address.has_value(), index, "address expected, as troupe.self() gives it");
  return *address;
}

int push_address(lua_State* state, const mail_address& address) {
  const std::string text = address.text();
  lua_pushlstring(state, text.data(), text.size());
  return 1;
}

int self(lua_State* state) {
  const std::string text = own_mailbox(state).address().text();
  lua_pushlstring(state, text.data(), text.size());
  return 1;
}

// send(address, …) -> true | nil, why not
int send(lua_State* state) {
  post_office& office = check_office(state);
  const mail_address to = check_address(state, 1);
  carried_message message = take_message(state, 2);
  if (const char* refusal = office.send(to, std::move(message))) {
    lua_pushnil(state);
    lua_pushstring(state, refusal);
    return 2;
  }
  lua_pushboolean(state, 1);
  return 1;
}

// receive([seconds]) -> the values of a message | nil, "timeout"
int receive(lua_State* state) {
  mailbox& own = own_mailbox(state);
  std::int64_t ms = -1;
  if (!lua_isnoneornil(state, 1)) {
    const double seconds = luaL_checknumber(state, 1);
    luaL_argcheck(state, seconds >= 0 && seconds < 1e12, 1, "seconds, zero or more, expected");
    ms = static_cast<std::int64_t>(seconds * 1000 + 0.5);
  }
  lua_settop(state, 0);
  return own.receive(state, ms);
}

// spawn(module, …) -> address
int spawn(lua_State* state) {
  std::size_t size = 0;
  const char* module = luaL_checklstring(state, 1, &size);
  actor_runner* runner = current.machine != nullptr ? current.machine->actors : nullptr;
  if (runner == nullptr) return luaL_error(state, "no actor can be made here");
  actor_start what{.module = std::string(module, size), .arguments = take_message(state, 2)};
  return push_address(state, runner->spawn(std::move(what)));
}

// monitor(address): "down", address, reason come as a message when its owner ends
int monitor(lua_State* state) {
  const mail_address whom = check_address(state, 1);
  check_office(state).monitor(whom, own_mailbox(state).address());
  lua_pushboolean(state, 1);
  return 1;
}

// next() -> true and the next message, or false and why there is none: for the loop in actor.lua
int next(lua_State* state) { return own_mailbox(state).next(state); }

int set_loop(lua_State* state) {
  lua_setfield(state, LUA_REGISTRYINDEX, "troupe.actor_loop");
  return 0;
}

constexpr luaL_Reg functions[] = {{"self", self},       {"send", send},         {"receive", receive},
                                  {"spawn", spawn},     {"monitor", monitor},   {"next", next},
                                  {"set_loop", set_loop}, {nullptr, nullptr}};

}  // namespace

const api_area actor_area{.name = "actor",
                          .cdef = {},
                          .table = nullptr,
                          .source =
                              {
#include "lua/api/actor.lua.inc"
                              },
                          .functions = functions};

}  // namespace troupe::lua
