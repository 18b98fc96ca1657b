// SPDX-License-Identifier: Apache-2.0
#include "lua/json_value.hpp"

#include <nlohmann/json.hpp>
#include <string>

namespace troupe::lua {
namespace {

constexpr int most_depth = 64;

void push(lua_State* state, const nlohmann::json& value, int depth) {
  if (depth > most_depth || lua_checkstack(state, 4) == 0) {
    lua_pushlightuserdata(state, nullptr);
    return;
  }
  switch (value.type()) {
    case nlohmann::json::value_t::boolean:
      lua_pushboolean(state, value.get<bool>() ? 1 : 0);
      return;
    case nlohmann::json::value_t::number_integer:
    case nlohmann::json::value_t::number_unsigned:
    case nlohmann::json::value_t::number_float:
      lua_pushnumber(state, value.get<double>());
      return;
    case nlohmann::json::value_t::string: {
      const auto& text = value.get_ref<const std::string&>();
      lua_pushlstring(state, text.data(), text.size());
      return;
    }
    case nlohmann::json::value_t::array: {
      lua_createtable(state, static_cast<int>(value.size()), 0);
      int index = 0;
      for (const auto& each : value) {
        push(state, each, depth + 1);
        lua_rawseti(state, -2, ++index);
      }
      return;
    }
    case nlohmann::json::value_t::object: {
      lua_createtable(state, 0, static_cast<int>(value.size()));
      for (const auto& [key, each] : value.items()) {
        lua_pushlstring(state, key.data(), key.size());
        push(state, each, depth + 1);
        lua_rawset(state, -3);
      }
      return;
    }
    default:
      lua_pushlightuserdata(state, nullptr);
      return;
  }
}

}  // namespace

void push_json(lua_State* state, const nlohmann::json& value) {
  push(state, value, 0);
}

}  // namespace troupe::lua
