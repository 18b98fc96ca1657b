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

TEST(vm, made_ahead_knows_what_it_is_for) {
  auto ahead = vm::prepare();
  ASSERT_TRUE(ahead) << ahead.error();
  auto made = vm::create({.prefix = "/app/", .is_single_process = true, .shard = 3, .shards = 5},
                         std::move(*ahead));
  ASSERT_TRUE(made) << made.error();
  EXPECT_EQ(result_of(**made, "return table.concat({ ngx.worker.id(), ngx.worker.count(),"
                              " ngx.config.prefix(), require('ngx.process').type() }, ' ')"),
            "3 5 /app/ single");
  EXPECT_EQ(result_of(**made, "return package.path:sub(1, 16)"), "/app/lua/?.lua;/");
}

TEST(vm, tells_nobody_of_the_traces_that_it_drops_itself) {
  auto machine = vm::create({});
  ASSERT_TRUE(machine) << machine.error();
  (*machine)->interrupts().open((*machine)->state());
  ASSERT_EQ(result_of(**machine, "flushed, compiled = 0, 0\n"
                                 "jit.attach(function(what)\n"
                                 "  if what == 'flush' then flushed = flushed + 1 end\n"
                                 "  if what == 'stop' then compiled = compiled + 1 end\n"
                                 "end, 'trace') return ''"),
            "");
  (*machine)->interrupts().close();
  EXPECT_EQ(result_of(**machine, "return flushed"), "0");
  EXPECT_EQ(result_of(**machine, "for i = 1, 300 do s = i end return tostring(compiled > 0)"), "true");
}

}  // namespace
}  // namespace troupe::lua
