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

}  // namespace
}  // namespace troupe::lua
