// SPDX-License-Identifier: Apache-2.0
#include "lua/api_registry.hpp"

#include <gtest/gtest.h>

#include <array>

namespace troupe::lua {
namespace {

struct troupe_ffi_sample {
  int (*twice)(int);
};
int twice(int n) noexcept { return 2 * n; }
constexpr troupe_ffi_sample table{.twice = twice};
constexpr api_area sample{
    .name = "sample",
    .cdef = "typedef struct troupe_ffi_sample { int (*twice)(int n); } troupe_ffi_sample;",
    .table = &table,
    .source = "local c, ngx = ... ngx.twice = function(n) return c.twice(n) end",
    .functions = nullptr};

TEST(api_registry, hands_each_vm_its_table_of_functions) {
  lua_State* state = luaL_newstate();
  luaL_openlibs(state);
  const std::array<const api_area*, 1> areas = {&sample};
  EXPECT_EQ(install(state, areas), "");
  ASSERT_EQ(luaL_dostring(state, "return ngx.twice(21)"), 0) << lua_tostring(state, -1);
  EXPECT_EQ(lua_tointeger(state, -1), 42);
  lua_close(state);
}

TEST(api_registry, names_the_area_whose_text_is_broken) {
  lua_State* state = luaL_newstate();
  luaL_openlibs(state);
  api_area broken = sample;
  broken.source = "local c =";
  const std::array<const api_area*, 1> areas = {&broken};
  EXPECT_NE(install(state, areas).find("ngx.sample"), std::string::npos);
  EXPECT_EQ(lua_gettop(state), 0);
  lua_close(state);
}

}  // namespace
}  // namespace troupe::lua
