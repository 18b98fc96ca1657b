// SPDX-License-Identifier: Apache-2.0
//
// lua_max_memory: an exchange that wants too much fails, and nothing else.
#include "tests/support/resident_memory.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe::tests {
namespace {

const std::vector<std::string> hogs = {
    "local t = {} for i = 1, 1e15 do t[i] = { i } end",
    "local t = {} for i = 1, 1e15 do t[#t + 1] = tostring(i) .. 'text' end",
    "local s = 'x' while true do s = s .. s end",
    "local s = ('x'):rep(1e9)",
    "local t = {} while true do t[#t + 1] = coroutine.wrap(function() coroutine.yield() end) t[#t]() end",
    "local t = {} while true do t[#t + 1] = ngx.thread.spawn(function() ngx.sleep(60) end) end",
    "local t = {} while true do t[#t + 1] = ngx.thread.spawn(function() return ('x'):rep(100) end) end",
    "local t = {} ngx.sleep(0.001) while true do t[#t + 1] = ngx.encode_base64(#t .. ('x'):rep(1000)) end",
    "local t = {} while true do t[#t + 1] = ngx.re.gsub(#t .. ('a'):rep(500), 'a', 'b', 'jo') end",
    "local t = {} while true do t[#t + 1] = ngx.socket.tcp() end",
    "local t = {} while true do t[#t + 1] = function() return t end end",
    "local ffi = require('ffi') local t = {} while true do t[#t + 1] = ffi.new('char[?]', 4096) end",
    "coroutine.wrap(function() local t = {} while true do t[#t + 1] = { #t } end end)()",
    "local t = {} table.sort({ 3, 2, 1 }, function(a, b) while true do t[#t + 1] = { a } end end)",
    "local t = {} setmetatable(_G, { __newindex = rawset }) while true do ngx.ctx[{}] = { ngx.ctx } end",
};

std::string conf(const std::string& cap) {
  std::string text = cap + " server { listen @port@; ";
  for (std::size_t i = 0; i < hogs.size(); ++i) {
    text += "location = /" + std::to_string(i) + " { content_by_lua_block { " + hogs[i] + " } } ";
  }
  return text + R"(
      location = /fine { content_by_lua_block { ngx.print("fine") } }
      location = /slow { content_by_lua_block { for _ = 1, 20 do ngx.sleep(0.005) local t = { {} } end ngx.print("slow") } }
      location = /caught { content_by_lua_block {
        ngx.print((select(2, pcall(function() local t = {} while true do t[#t + 1] = { #t } end end)))) } }
      location = /garbage { content_by_lua_block {
        local live = {}
        for i = 1, 40000 do live[i] = "live" .. i .. ("x"):rep(200) end
        local n = 0
        for i = 1, 400000 do n = n + #(i .. ("g"):rep(300)) end
        ngx.print(#live) } } })";
}

}  // namespace

TEST(max_memory, an_exchange_that_wants_too_much_fails_and_others_are_served) {
  test_node node({.conf = conf("lua_max_memory 24m;")});
  test_client client(node);
  for (std::size_t i = 0; i < hogs.size(); ++i) {
    auto slow = test_client(node).start("GET /slow");
    EXPECT_EQ(test_client(node).get("/" + std::to_string(i)).status, 500) << hogs[i];
    EXPECT_EQ(client.get("/fine").body, "fine") << hogs[i];
    EXPECT_EQ(slow.response().body, "slow") << hogs[i];
  }
  EXPECT_TRUE(node.logs("not enough memory: the VM has"));
  EXPECT_TRUE(node.logs("of the 24576k of \"lua_max_memory\""));
  EXPECT_EQ(node.stop(), 0);
}

TEST(max_memory, the_error_can_be_caught) {
  test_node node({.conf = conf("lua_max_memory 24m;")});
  test_client client(node);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.get("/caught").body, "not enough memory");
  EXPECT_EQ(node.stop(), 0);
}

TEST(max_memory, garbage_fails_nobody) {
  test_node node({.conf = conf("lua_max_memory 24m;")});
  test_client client(node);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.get("/garbage").body, "40000");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(max_memory, many_that_fail_leave_nothing_behind) {
  test_node node({.conf = conf("lua_max_memory 12m;")});
  test_client client(node);
  const auto fail = [&](int times) {
    for (int i = 0; i < times; ++i) {
      const std::string place = "/" + std::to_string(i % hogs.size());
      ASSERT_EQ(client.get(place).status, 500) << place;
    }
  };
  fail(30);
  const auto before = resident_kilobytes(node.pid());
  fail(75);
  EXPECT_LT(resident_kilobytes(node.pid()) - before, 30'000);
  EXPECT_EQ(client.get("/fine").body, "fine");
  EXPECT_EQ(node.stop(), 0);
}

TEST(max_memory, holds_in_worker_threads) {
  test_node node({.conf = R"(lua_max_memory 24m; lua_package_path "$prefix/?.lua;;"; server { listen @port@;
        location = / { content_by_lua_block { ngx.say(ngx.run_worker_thread("default", "work", ngx.var.arg_f)) } } })",
                  .files = {{"work.lua", R"(
        local function hog() local t = {} while true do t[#t + 1] = { #t } end end
        return { hog = hog, fine = function() return "fine" end })"}}});
  test_client client(node);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.get("/?f=hog").body, "falsenot enough memory\n");
    EXPECT_EQ(client.get("/?f=fine").body, "truefine\n");
  }
  EXPECT_EQ(node.stop(), 0);
}

TEST(max_memory, an_init_that_needs_more_refuses_the_release) {
  test_node node({.conf = "lua_max_memory 12m;\ninit_by_lua_block { t = {} for i = 1, 1e7 do t[i] = { i } end }\n"
                          "server { listen @port@; }",
                  .starts = false});
  EXPECT_EQ(node.wait(), 1);
  EXPECT_NE(node.log().find("init_by_lua error: "), std::string::npos) << node.log();
  EXPECT_NE(node.log().find("of the 12288k of \"lua_max_memory\""), std::string::npos) << node.log();
}

TEST(max_memory, one_that_no_vm_fits_in_is_refused_where_it_stands) {
  test_node node({.conf = "lua_max_memory 64k; server { listen @port@; }", .starts = false});
  EXPECT_EQ(node.wait(), 1);
  EXPECT_NE(node.log().find("nginx.conf:"), std::string::npos) << node.log();
  EXPECT_NE(node.log().find("of the 64k of \"lua_max_memory\""), std::string::npos) << node.log();
}

}  // namespace troupe::tests
