// SPDX-License-Identifier: Apache-2.0
#include "tests/lua/api_state.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace troupe::lua {

api_state::api_state(std::initializer_list<const api_area*> areas, vm* machine)
    : state_(luaL_newstate()) {
  luaL_openlibs(state_);
  if (machine != nullptr) {
    lua_pushlightuserdata(state_, machine);
    lua_setfield(state_, LUA_REGISTRYINDEX, "troupe.vm");
  }
  const std::vector<const api_area*> all(areas);
  EXPECT_EQ(install(state_, all), "");
}

api_state::~api_state() {
  lua_close(state_);
}

std::string api_state::run(const std::string& code) {
  lua_settop(state_, 0);
  std::string text;
  if (luaL_loadbuffer(state_, code.data(), code.size(), "=test") != 0 ||
      lua_pcall(state_, 0, LUA_MULTRET, 0) != 0) {
    text = "raised: ";
  }
  const int count = lua_gettop(state_);
  for (int i = 1; i <= count; ++i) {
    if (i > 1) text += ", ";
    lua_getglobal(state_, "tostring");
    lua_pushvalue(state_, i);
    lua_call(state_, 1, 1);
    std::size_t size = 0;
    const char* bytes = lua_tolstring(state_, -1, &size);
    text.append(bytes, size);
    lua_pop(state_, 1);
  }
  return text;
}

int api_state::traces(const std::string& code) {
  const std::string counted =
      "local count = 0\n"
      "local function seen(what) if what == 'stop' then count = count + 1 end end\n"
      "require('jit').attach(seen, 'trace')\n"
      "local function chunk() " +
      code +
      " end\n"
      "chunk()\n"
      "require('jit').attach(seen)\n"
      "return count";
  const std::string text = run(counted);
  if (text.starts_with("raised")) ADD_FAILURE() << text;
  return std::atoi(text.c_str());
}

}  // namespace troupe::lua
