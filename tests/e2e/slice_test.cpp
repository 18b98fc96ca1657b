// SPDX-License-Identifier: Apache-2.0
//
// lua_max_slice: scripts that hog their shard.
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

// string.rep and table churn in it are not compiled, so that the loop is seen.
const std::string hog = R"(
    jit.off(true, true)
    local n, stop = 0, ngx.now() + 3
    repeat n = n + #("x"):rep(100) ngx.update_time() until ngx.now() > stop or until_when and n > until_when)";

test_node_options with(const std::string& directive) {
  return {.conf = directive + " server { listen @port@; location = /hog { content_by_lua_block { " + hog +
                  R"( ngx.print("done") } }
      location = /caught { content_by_lua_block { ngx.print((select(2, pcall(function() )" + hog +
                  R"( end)):match("a script.*"))) } }
      location = /waits { content_by_lua_block { for _ = 1, 40 do ngx.sleep(0.005) end ngx.print("waited") } } })"};
}

}  // namespace

TEST(max_slice, kills_a_script_that_hogs_and_spares_one_that_waits) {
  test_node node(with("lua_max_slice 30ms kill;"));
  test_client client(node);
  EXPECT_EQ(client.get("/hog").status, 500);
  EXPECT_TRUE(node.logs("a script has run for more than 30 ms without a wait (lua_max_slice)"));
  EXPECT_TRUE(node.logs("content_by_lua(nginx.conf:"));
  EXPECT_EQ(client.get("/waits").body, "waited");
  EXPECT_EQ(client.get("/caught").body, "a script has run for more than 30 ms without a wait (lua_max_slice)");
  EXPECT_EQ(node.stop(), 0);
}

TEST(max_slice, warns_and_lets_it_go_on) {
  test_node node(with("init_by_lua_block { until_when = 40000000 } lua_max_slice 10ms;"));
  EXPECT_EQ(test_client(node).get("/hog").body, "done");
  EXPECT_TRUE(node.logs("[warn]"));
  EXPECT_TRUE(node.logs("stack traceback:"));
  EXPECT_EQ(node.stop(), 0);
}

TEST(max_slice, is_checked) {
  test_node node({.conf = "lua_max_slice 1s maybe; server { listen @port@; }", .starts = false});
  EXPECT_EQ(node.wait(), 1);
  EXPECT_NE(node.log().find("it must be \"warn\" or \"kill\""), std::string::npos);
}

}  // namespace troupe::tests
