// SPDX-License-Identifier: Apache-2.0
//
// lua_max_slice: scripts that hog their shard.
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

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

// The time ran out in a C function, and no Lua code of that script came after it.
TEST(max_slice, of_one_script_does_not_end_the_next) {
  test_node node({.shards = 1, .conf = R"(lua_max_slice 10ms kill; server { listen @port@;
      location = /hog { content_by_lua_block { return string.find(("a"):rep(150), ".-.-.-b") } }
      location = /next { content_by_lua_block { local s = "" for i = 1, 3 do s = s .. i end ngx.print(s) } } })"});
  test_client client(node);
  for (int i = 0; i < 3; ++i) {
    client.get("/hog");
    EXPECT_EQ(client.get("/next").body, "123");
  }
}

TEST(max_slice, warns_and_lets_it_go_on) {
  test_node node(with("init_by_lua_block { until_when = 40000000 } lua_max_slice 10ms;"));
  EXPECT_EQ(test_client(node).get("/hog").body, "done");
  EXPECT_TRUE(node.logs("[warn]"));
  EXPECT_TRUE(node.logs("stack traceback:"));
  EXPECT_EQ(node.stop(), 0);
}

// What LuaJIT makes machine code of, each never ending.
TEST(max_slice, ends_loops_that_are_compiled) {
  const std::vector<std::string> loops = {
      "while true do end",
      "repeat until false",
      "local x = 0 for i = 1, 1e15 do x = x + i end",
      "for i = 1, 1e15 do end",
      "local s for i = 1, 1e15 do s = tostring(i) .. 'x' end",
      "local t for i = 1, 1e15 do t = { i } end",
      "local x = 0 while true do for i = 1, 100 do for j = 1, 100 do x = x + j end end end",
      "local x = 0 for i = 1, 1e15 do if i % 2 == 0 then x = x + 1 elseif i % 3 == 0 then x = x - 1 "
      "else x = x / 2 end end",
      "local function f(n) return f(n + 1) end f(1)",
      "local g local function f(n) return g(n + 1) end function g(n) return f(n - 1) end f(1)",
      "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end fib(60)",
      "local t = { a = 1, b = 2 } while true do for k, v in pairs(t) do t[k] = v + 1 end end",
      "while true do coroutine.wrap(function() coroutine.yield(1) end)() end",
      "while true do table.sort({ 3, 2, 1 }, function(a, b) return a < b end) end",
      "while true do ngx.var.uri = '/x' end",
      "while true do ngx.re.match('hello', 'l+', 'jo') end",
      "ngx.shared.d:set('n', 0) while true do ngx.shared.d:incr('n', 1) end",
      "assert(loadstring(string.dump(loadstring('local x = 0 while true do x = x + 1 end'), true)))()",
  };
  std::string conf = "lua_shared_dict d 1m; lua_max_slice 50ms kill; server { listen @port@; ";
  for (std::size_t i = 0; i < loops.size(); ++i) {
    conf += "location = /" + std::to_string(i) + " { content_by_lua_block { " + loops[i] + " } } ";
  }
  conf += "location = /fine { content_by_lua_block { ngx.print('fine') } } }";
  test_node node({.conf = conf});
  for (std::size_t i = 0; i < loops.size(); ++i) {
    const std::string place = "/" + std::to_string(i);
    test_client client(node);
    for (int round = 0; round < 3; ++round) EXPECT_EQ(client.get(place).status, 500) << loops[i];
    EXPECT_EQ(client.get("/fine").body, "fine");
  }
  EXPECT_EQ(node.stop(), 0);
}

// A shard that looks at itself all the time computes the same.
TEST(max_slice, leaves_compiled_code_as_exact_as_it_was) {
  const std::string work = R"(
      local x, n, t, parts = 0, 0, {}, {}
      for i = 1, 3000000 do
        x = x + i
        if i % 3 == 0 then x = x - 1 end
        t[i % 100] = (t[i % 100] or 0) + i
        if i % 1000 == 0 then parts[#parts + 1] = ("k" .. i):upper() end
      end
      for _, v in pairs(t) do n = n + v end
      ngx.print(x, " ", n, " ", ngx.md5(table.concat(parts))))";
  const std::string server = "server { listen @port@; location = / { content_by_lua_block { " + work + " } } }";
  test_node plain({.conf = server});
  test_node watched({.conf = "lua_max_slice 1ms; " + server, .log_level = "error"});
  test_client client(watched);
  const std::string expected = test_client(plain).get("/").body;
  EXPECT_NE(expected, "");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.get("/").body, expected);
  EXPECT_EQ(plain.stop(), 0);
  EXPECT_EQ(watched.stop(), 0);
}

TEST(max_slice, ends_a_script_that_catches_the_error_for_good) {
  test_node node({.conf = R"(lua_max_slice 30ms kill; server { listen @port@;
      location = /stubborn { content_by_lua_block {
        while true do pcall(function() while true do end end) end } }
      location = /nested { content_by_lua_block {
        local function forever() while true do xpcall(forever, function() while true do end end) end end
        forever() } }
      location = /twice { content_by_lua_block {
        for _ = 1, 2 do pcall(function() while true do end end) end ngx.print("twice") } }
      location = /below { content_by_lua_block {
        while true do pcall(function() ("x"):gsub("x", function() while true do end end) end) end } }
      location = /coroutines { content_by_lua_block {
        while true do coroutine.resume(coroutine.create(function() while true do end end)) end } } })"});
  test_client client(node);
  for (const char* place : {"/stubborn", "/nested", "/below", "/coroutines"}) {
    EXPECT_EQ(client.get(place).status, 500) << place;
    EXPECT_EQ(client.get("/twice").body, "twice") << place;
  }
  EXPECT_EQ(node.stop(), 0);
}

// LuaJIT's own profiler uses the same places in compiled code.
TEST(max_slice, survives_a_profiler_of_the_app) {
  test_node node({.conf = R"(lua_max_slice 500ms kill; server { listen @port@;
      location = /profile { content_by_lua_block {
        local profile = require("jit.profile")
        local samples = 0
        profile.start("fi1", function(_, n) samples = samples + n end)
        local x = 0
        for i = 1, 1e6 do x = x + i % 7 end
        profile.stop()
        ngx.print("profiled") } }
      location = /hog { content_by_lua_block { while true do end } } })"});
  test_client client(node);
  EXPECT_EQ(client.get("/profile").body, "profiled");
  EXPECT_EQ(client.get("/hog").status, 500);
  EXPECT_EQ(node.stop(), 0);
}

TEST(max_slice, is_checked) {
  test_node node({.conf = "lua_max_slice 1s maybe; server { listen @port@; }", .starts = false});
  EXPECT_EQ(node.wait(), 1);
  EXPECT_NE(node.log().find("it must be \"warn\" or \"kill\""), std::string::npos);
}

}  // namespace troupe::tests
