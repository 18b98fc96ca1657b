// SPDX-License-Identifier: Apache-2.0
#include "lua/vm.hpp"

#include <gtest/gtest.h>

namespace troupe::lua {
namespace {

TEST(vm, leaves_all_traces_to_the_app) {
  auto machine = vm::create({});
  ASSERT_TRUE(machine) << machine.error();
  lua_State* state = (*machine)->state();
  ASSERT_EQ(luaL_dostring(state,
                          "local info = require('jit.util').traceinfo\n"
                          "local before = info(1)\n"
                          "local s for i = 1, 300 do s = i * 2 end\n"
                          "return before == nil, jit.status(), info(1) ~= nil"),
            0)
      << lua_tostring(state, -1);
  EXPECT_TRUE(lua_toboolean(state, -3));
  EXPECT_TRUE(lua_toboolean(state, -2));
  EXPECT_TRUE(lua_toboolean(state, -1));
}

std::string result_of(vm& machine, const char* code) {
  lua_State* state = machine.state();
  if (luaL_dostring(state, code) != 0) return lua_tostring(state, -1);
  return lua_isnil(state, -1) ? "nil" : lua_tostring(state, -1);
}

TEST(vm, has_the_environment_of_its_release) {
  auto all = vm::create({});
  ASSERT_TRUE(all) << all.error();
  EXPECT_NE(result_of(**all, "return os.getenv('PATH')"), "nil");
  vm_options some;
  some.environment.values = {{"FOO", "of the release"}};
  auto more = vm::create(some);
  ASSERT_TRUE(more) << more.error();
  EXPECT_EQ(result_of(**more, "return os.getenv('FOO')"), "of the release");
  EXPECT_NE(result_of(**more, "return os.getenv('PATH')"), "nil");
  some.environment.is_whole = true;
  auto only = vm::create(some);
  ASSERT_TRUE(only) << only.error();
  EXPECT_EQ(result_of(**only, "return os.getenv('FOO')"), "of the release");
  EXPECT_EQ(result_of(**only, "return os.getenv('PATH')"), "nil");
  EXPECT_NE(result_of(**only, "return os.getenv()").find("string expected, got no value"),
            std::string::npos);
}

}  // namespace
}  // namespace troupe::lua
