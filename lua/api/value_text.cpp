// SPDX-License-Identifier: Apache-2.0
#include "lua/api/value_text.hpp"

#include <charconv>
#include <cstdint>
#include <string_view>

extern "C" {
#include "lua/api/value_text.ffi.h"
}

#include "lua/api/areas.hpp"

namespace troupe::lua {

std::size_t write_number(char* out, double number) noexcept {
  char* const end = out + longest_number;
  if (number >= INT32_MIN && number <= INT32_MAX) {
    const auto whole = static_cast<std::int32_t>(number);
    if (whole == number) return static_cast<std::size_t>(std::to_chars(out, end, whole).ptr - out);
  }
  // Not lua_tolstring: LuaJIT rounds the 14th digit up where C rounds to even.
  const auto written = std::to_chars(out, end, number, std::chars_format::general, 14);
  return static_cast<std::size_t>(written.ptr - out);
}

void check_loggable(lua_State* state, int index, int argument) {
  switch (lua_type(state, index)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING:
    case LUA_TLIGHTUSERDATA:
      return;
    case LUA_TTABLE:
      if (luaL_getmetafield(state, index, "__tostring") == 0) {
        luaL_argerror(state, argument, "expected table to have __tostring metamethod");
      }
      lua_pop(state, 1);
      return;
    default:
      luaL_argerror(state, argument,
                    lua_pushfstring(state, "string, number, boolean, or nil expected, got %s",
                                    lua_typename(state, lua_type(state, index))));
  }
}

void append_loggable(lua_State* state, int index, std::string& out) {
  switch (lua_type(state, index)) {
    case LUA_TNIL:
      out += "nil";
      return;
    case LUA_TBOOLEAN:
      out += lua_toboolean(state, index) != 0 ? "true" : "false";
      return;
    case LUA_TNUMBER: {
      char text[longest_number];
      out.append(text, write_number(text, lua_tonumber(state, index)));
      return;
    }
    case LUA_TSTRING: {
      std::size_t size = 0;
      const char* text = lua_tolstring(state, index, &size);
      out.append(text, size);
      return;
    }
    case LUA_TTABLE: {
      if (luaL_callmeta(state, index, "__tostring") == 0) return;
      std::size_t size = 0;
      const char* text = lua_tolstring(state, -1, &size);
      if (text != nullptr) out.append(text, size);
      lua_pop(state, 1);
      return;
    }
    case LUA_TLIGHTUSERDATA:
      // ngx.null; other addresses say nothing.
      if (lua_touserdata(state, index) == nullptr) out += "null";
      return;
    default:
      return;
  }
}

namespace {

constexpr troupe_ffi_value_text table{.number = write_number};

}  // namespace

const api_area value_text_area{.name = "value_text",
                               .cdef =
                                   {
#include "lua/api/value_text.ffi.h.inc"
                                   },
                               .table = &table,
                               .source =
                                   {
#include "lua/api/value_text.lua.inc"
                                   },
                               .functions = nullptr};

}  // namespace troupe::lua
