// SPDX-License-Identifier: Apache-2.0
#include "lua/traceback.hpp"

#include <lua.hpp>

#include <string_view>

#include "lua/coroutine.hpp"

namespace troupe::lua {

void append_traceback(std::string& text, const coroutine& failed) {
  text += "\nstack traceback:";
  int number = 0;
  for (const coroutine* co = &failed; co != nullptr; co = co->parent, ++number) {
    text += "\ncoroutine ";
    text += std::to_string(number);
    text += ':';
    lua_State* state = co->state;
    if (!lua_checkstack(state, 2)) return;
    luaL_traceback(state, state, nullptr, 0);
    std::string_view part = lua_tostring(state, -1);
    // LuaJIT's own title line is ours already.
    if (const auto line_end = part.find('\n'); line_end != std::string_view::npos) {
      text += part.substr(line_end);
    }
    lua_pop(state, 1);
  }
}

}  // namespace troupe::lua
