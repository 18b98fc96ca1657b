// SPDX-License-Identifier: Apache-2.0
//
// troupe.config: get, list, watch. Values that change while the node runs.
//
// Source   docs/lua-api.md, "Config values".
// Thread   that of the VM.
#include <cstddef>
#include <cstdlib>
#include <nlohmann/json.hpp>

extern "C" {
#include "lua/api/config.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/json_value.hpp"
#include "lua/script.hpp"
#include "lua/vm.hpp"
#include "net/live_config.hpp"

namespace troupe::lua {
namespace {

double version(const void* values) noexcept {
  return static_cast<double>(static_cast<const net::live_config*>(values)->version());
}

constexpr troupe_ffi_config table{.version = version};

void push(lua_State* state, const net::config_value& value) {
  switch (value.type) {
    case net::config_type::string:
      lua_pushlstring(state, value.text.data(), value.text.size());
      return;
    case net::config_type::number:
      lua_pushnumber(state, std::strtod(value.text.c_str(), nullptr));
      return;
    case net::config_type::boolean:
      lua_pushboolean(state, value.text == "true" ? 1 : 0);
      return;
    case net::config_type::table:
      push_json(state, nlohmann::json::parse(value.text, nullptr, false));
      return;
  }
}

const net::live_config* values_of(lua_State* state) {
  lua_getfield(state, LUA_REGISTRYINDEX, "troupe.vm");
  const auto* machine = static_cast<const vm*>(lua_touserdata(state, -1));
  lua_pop(state, 1);
  return machine == nullptr ? nullptr : machine->options().config;
}

// values() -> what version() and wait() want, or nil: there are none here
int values(lua_State* state) {
  const net::live_config* found = values_of(state);
  if (found == nullptr)
    lua_pushnil(state);
  else
    lua_pushlightuserdata(state, const_cast<net::live_config*>(found));
  return 1;
}

// fetch(key) -> the value, or nil
int fetch(lua_State* state) {
  std::size_t size = 0;
  const char* key = luaL_checklstring(state, 1, &size);
  const auto now = values_of(state)->now();
  const auto found = now->values.find(std::string_view(key, size));
  if (found == now->values.end())
    lua_pushnil(state);
  else
    push(state, found->second);
  return 1;
}

// versions(prefix) -> {key = version of its last change}, the version of the whole
int versions(lua_State* state) {
  std::size_t size = 0;
  const char* text = luaL_checklstring(state, 1, &size);
  const std::string_view prefix(text, size);
  const auto now = values_of(state)->now();
  lua_newtable(state);
  for (auto each = now->values.lower_bound(prefix);
       each != now->values.end() && each->first.starts_with(prefix); ++each) {
    lua_pushlstring(state, each->first.data(), each->first.size());
    lua_pushnumber(state, static_cast<lua_Number>(each->second.version));
    lua_rawset(state, -3);
  }
  lua_pushnumber(state, static_cast<lua_Number>(now->version));
  return 2;
}

// wait(version) -> true: it has moved; false: the release retires
int wait(lua_State* state) {
  const auto seen = static_cast<std::uint64_t>(luaL_checknumber(state, 1));
  if (script::of(state) == nullptr) return luaL_error(state, "no request found");
  return current.machine->config_waiters().wait(state, values_of(state)->version() != seen);
}

constexpr luaL_Reg functions[] = {{"values", values},
                                  {"fetch", fetch},
                                  {"versions", versions},
                                  {"wait", wait},
                                  {nullptr, nullptr}};

}  // namespace

const api_area config_area{.name = "config",
                           .cdef =
                               {
#include "lua/api/config.ffi.h.inc"
                               },
                           .table = &table,
                           .source =
                               {
#include "lua/api/config.lua.inc"
                               },
                           .functions = functions};

}  // namespace troupe::lua
