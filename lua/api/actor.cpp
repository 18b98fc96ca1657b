// SPDX-License-Identifier: Apache-2.0
//
// troupe.self, troupe.send, troupe.receive: messages between requests, timers and workers of a node.
//
// Source   docs/lua-api.md, "Messages".
// Thread   that of the VM.
#include <cstddef>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/post_office.hpp"
#include "lua/script.hpp"

namespace troupe::lua {
namespace {

post_office& check_office(lua_State* state) {
  post_office* office =
      current.running != nullptr ? current.running->host().mail() : nullptr;
  if (office == nullptr) luaL_error(state, "no address here: no request, timer or worker runs");
  return *office;
}

int self(lua_State* state) {
  const std::string text = check_office(state).of(current.running->belongings()).address().text();
  lua_pushlstring(state, text.data(), text.size());
  return 1;
}

// send(address, …) -> true | nil, why not
int send(lua_State* state) {
  post_office& office = check_office(state);
  std::size_t size = 0;
  const char* text = luaL_checklstring(state, 1, &size);
  const auto to = mail_address::parse({text, size});
  luaL_argcheck(state, to.has_value(), 1, "address expected, as troupe.self() gives it");
  carried_message message;
  for (int i = 2; i <= lua_gettop(state); ++i) {
    auto value = carried_value::take(state, i);
    if (!value) return luaL_argerror(state, i, value.error().c_str());
    message.push_back(std::move(*value));
  }
  if (const char* refusal = office.send(*to, std::move(message))) {
    lua_pushnil(state);
    lua_pushstring(state, refusal);
    return 2;
  }
  lua_pushboolean(state, 1);
  return 1;
}

// receive([seconds]) -> the values of a message | nil, "timeout"
int receive(lua_State* state) {
  post_office& office = check_office(state);
  std::int64_t ms = -1;
  if (!lua_isnoneornil(state, 1)) {
    const double seconds = luaL_checknumber(state, 1);
    luaL_argcheck(state, seconds >= 0 && seconds < 1e12, 1, "seconds, zero or more, expected");
    ms = static_cast<std::int64_t>(seconds * 1000 + 0.5);
  }
  lua_settop(state, 0);
  return office.of(current.running->belongings()).receive(state, ms);
}

constexpr luaL_Reg functions[] = {
    {"self", self}, {"send", send}, {"receive", receive}, {nullptr, nullptr}};

}  // namespace

const api_area actor_area{.name = "actor",
                          .cdef = {},
                          .table = nullptr,
                          .source = "local _, _, native = ...\n"
                                    "troupe = native\n"
                                    "package.loaded.troupe = native\n",
                          .functions = functions};

}  // namespace troupe::lua
