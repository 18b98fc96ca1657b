// SPDX-License-Identifier: Apache-2.0
//
// ngx.log and print: `[lua] file.lua:12: function(): message`.
//
// Source   "ngx.log" of ngx_lua's README.
// Thread   that of the VM.
#include <cstddef>
#include <string>
#include <string_view>

#include "lua/api/areas.hpp"
#include "lua/api/value_text.hpp"
#include "lua/current.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {
namespace {

constexpr std::size_t longest_message = 4096;

const net::log_context* target() {
  return current.log;
}

int write(lua_State* state, net::log_level level, int first) {
  const net::log_context* log = target();
  const int top = lua_gettop(state);
  if (log == nullptr || !log->enabled(level)) return 0;
  for (int i = first; i <= top; ++i) check_loggable(state, i, i - first + 1);
  std::string line = "[lua] ";
  lua_Debug frame{};
  if (lua_getstack(state, 1, &frame) != 0) {
    lua_getinfo(state, "nSl", &frame);
    std::string_view source = frame.short_src;
    if (const auto slash = source.rfind('/'); slash != std::string_view::npos) {
      source.remove_prefix(slash + 1);
    }
    line.append(source);
    line += ':';
    line += std::to_string(frame.currentline > 0 ? frame.currentline : frame.linedefined);
    line += ": ";
    if (frame.name != nullptr && *frame.namewhat != '\0' && *frame.what == 'L') {
      line += frame.name;
      line += "(): ";
    }
  }
  for (int i = first; i <= top; ++i) append_loggable(state, i, line);
  if (line.size() > longest_message) line.resize(longest_message);
  log->write(level, line);
  return 0;
}

// log(level, …)
int log(lua_State* state) {
  const auto level = static_cast<long>(luaL_checkinteger(state, 1));
  if (level < 0 || level > 8) {
    return luaL_argerror(state, 1,
                         lua_pushfstring(state, "bad log level: %d", static_cast<int>(level)));
  }
  return write(state, static_cast<net::log_level>(level), 2);
}

int print(lua_State* state) {
  return write(state, net::log_level::notice, 1);
}

constexpr luaL_Reg functions[] = {{"log", log}, {"print", print}, {nullptr, nullptr}};

}  // namespace

const api_area log_area{
    .name = "log",
    .cdef = {},
    .table = nullptr,
    .source = "local _, ngx, native = ... ngx.log = native.log print = native.print",
    .functions = functions};

}  // namespace troupe::lua
