// SPDX-License-Identifier: Apache-2.0
//
// troupe.self, send and receive: messages between requests, timers and shards.
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

test_node_options with(const std::string& code, int shards = 1) {
  return {.shards = shards, .conf = "lua_shared_dict seen 64k; server { listen @port@; " + code + " }"};
}

std::string content(const std::string& code) {
  return "location = / { content_by_lua_block { " + code + " } }";
}

std::string answer(const std::string& code) {
  test_node node(with(content(code)));
  return test_client(node).get("/").body;
}

}  // namespace

TEST(message, carries_copies_of_values_in_order) {
  EXPECT_EQ(answer(R"(
      local me = troupe.self()
      local t = { 1, { x = "y" } }
      troupe.send(me, "first", t, nil, true, ngx.null)
      t[1] = 2
      troupe.send(me, "second")
      local a, b, c, d, e = troupe.receive()
      ngx.say(a, b[1], b[2].x, tostring(c), tostring(d), tostring(e == ngx.null))
      ngx.say((troupe.receive()), " ", me == troupe.self(), " ", require("troupe") == troupe))"),
            "first1yniltruetrue\nsecond true true\n");
}

TEST(message, wakes_who_waits_or_times_out) {
  EXPECT_EQ(answer(R"(
      local me = troupe.self()
      ngx.timer.at(0.005, function() troupe.send(me, "from a timer", troupe.self() ~= me) end)
      ngx.say(troupe.receive())
      local data, err = troupe.receive(0.005) ngx.say(tostring(data), err)
      data, err = troupe.receive(0) ngx.say(tostring(data), err))"),
            "from a timertrue\nniltimeout\nniltimeout\n");
}

TEST(message, one_for_each_thread_that_waits) {
  EXPECT_EQ(answer(R"(
      local me, threads, got = troupe.self(), {}, {}
      for i = 1, 3 do threads[i] = ngx.thread.spawn(function() local text = troupe.receive() got[#got + 1] = i .. text end) end
      ngx.thread.kill(threads[2])
      troupe.send(me, "a") troupe.send(me, "b")
      ngx.thread.wait(threads[1]) ngx.thread.wait(threads[3])
      ngx.print(table.concat(got, " ")))"),
            "1a 3b");
}

TEST(message, what_a_killed_thread_was_given_stays) {
  EXPECT_EQ(answer(R"(
      local me = troupe.self()
      local t = ngx.thread.spawn(function() troupe.receive() end)
      troupe.send(me, "kept")
      ngx.thread.kill(t)
      ngx.print(troupe.receive(0)))"),
            "kept");
}

TEST(message, reaches_another_request_on_whichever_shard) {
  test_node node(with(R"(
      location = /wait { content_by_lua_block {
          ngx.shared.seen:rpush("waiting", troupe.self())
          local text, back = troupe.receive(20)
          troupe.send(back, "thanks for " .. text)
          ngx.print(text) } }
      location = /tell { content_by_lua_block {
          local list = {}
          while #list < 8 do
              local address = ngx.shared.seen:lpop("waiting")
              if address then list[#list + 1] = address else ngx.sleep(0.001) end
          end
          for i, address in ipairs(list) do assert(troupe.send(address, "line " .. i, troupe.self())) end
          local thanks = 0
          for _ = 1, 8 do if troupe.receive(20):find("thanks for line") then thanks = thanks + 1 end end
          ngx.print(thanks) } })",
                      2));
  std::vector<test_connection> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(test_client(node).connect());
    waiting.back().send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  EXPECT_EQ(test_client(node).get("/tell").body, "8");
  for (auto& each : waiting) EXPECT_EQ(each.read_response().body.substr(0, 5), "line ");
  EXPECT_EQ(node.stop(), 0);
}

TEST(message, an_address_ends_with_its_request) {
  test_node node(with(content("ngx.print(troupe.self())") +
                      "location = /send { content_by_lua_block { ngx.print(tostring(troupe.send(ngx.unescape_uri(ngx.var.arg_to), 'x')),"
                      " ' ', select(2, troupe.send(ngx.unescape_uri(ngx.var.arg_to), 'x'))) } }"));
  test_client client(node);
  EXPECT_EQ(client.get("/").body, "<0.1>");
  EXPECT_EQ(client.get("/send?to=%3C0.1%3E").body, "nil no such address");
  EXPECT_EQ(client.get("/send?to=%3C7.1%3E").body, "nil no such address");
  EXPECT_EQ(client.get("/").body, "<0.2>");
}

TEST(message, wrong_arguments_are_named) {
  EXPECT_EQ(answer(R"(
      local function why(...) ngx.say((select(2, pcall(...)))) end
      why(troupe.send, "nonsense", 1)
      why(troupe.send, troupe.self(), print)
      why(troupe.receive, -1))"),
            "bad argument #1 to '?' (address expected, as troupe.self() gives it)\n"
            "bad argument #2 to '?' (unsupported Lua type: LUA_TFUNCTION)\n"
            "bad argument #1 to '?' (seconds, zero or more, expected)\n");
}

TEST(message, a_mailbox_that_nobody_empties_is_bounded) {
  EXPECT_EQ(answer(R"(
      local me, sent = troupe.self(), 0
      while true do
          local ok, err = troupe.send(me, "x")
          if not ok then ngx.print(sent, " ", err) break end
          sent = sent + 1
      end)"),
            "65536 mailbox full");
}

// The values are handed over outside of Lua, where nobody would catch the error.
TEST(message, for_which_a_deep_stack_has_no_room_fails_the_request_alone) {
  test_node node({.conf = R"(server { listen @port@;
    location = / { return 200 "lives"; }
    location = /deep { content_by_lua_block {
      local values = {}
      for i = 1, 7900 do values[i] = i end
      local me = troupe.self()
      local function deep(n)
        if n == 0 then return (select("#", troupe.receive(1))) end
        return 1 + deep(n - 1)
      end
      ngx.thread.spawn(function() ngx.sleep(0.001) troupe.send(me, unpack(values)) end)
      ngx.print(deep(tonumber(ngx.var.arg_n))) } }
    location = /coroutine { content_by_lua_block {
      local values = {}
      for i = 1, 7900 do values[i] = i end
      local function deep(n)
        if n == 0 then return (select("#", coroutine.resume(coroutine.create(function() return unpack(values) end)))) end
        return 1 + deep(n - 1)
      end
      ngx.print(deep(tonumber(ngx.var.arg_n))) } } })"});
  test_client client(node);
  EXPECT_EQ(client.get("/deep?n=1000").body, "8900");
  EXPECT_EQ(client.get("/deep?n=20000").status, 500);
  EXPECT_TRUE(node.logs("stack overflow: no room for the values that a coroutine is given"));
  EXPECT_EQ(client.get("/coroutine?n=1000").body, "8901");
  EXPECT_EQ(client.get("/coroutine?n=20000").status, 500);
  EXPECT_EQ(client.get("/").body, "lives");
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
