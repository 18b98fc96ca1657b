// SPDX-License-Identifier: Apache-2.0
//
// ngx.semaphore: between light threads, requests and timers.
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

test_node_options with(const std::string& code, const std::string& more = {}) {
  return {.conf = R"(init_by_lua_block { gate = require("ngx.semaphore").new() }
      server { listen @port@; )" + more + " location = / { content_by_lua_block { " + code + " } } }"};
}

std::string answer(const std::string& code) {
  test_node node(with(code));
  return test_client(node).get("/").body;
}

}  // namespace

TEST(semaphore, gives_what_is_there_and_counts_who_waits) {
  EXPECT_EQ(answer(R"(
      local sem = require("ngx.semaphore").new(2)
      ngx.print(sem:count(), tostring(sem:wait(0)), tostring(sem:wait(1)), sem:count(), " ")
      local t = ngx.thread.spawn(function() return sem:wait(5) end)
      ngx.print(sem:count(), " ", tostring(sem:post()), " ")
      ngx.print(tostring(select(2, ngx.thread.wait(t))), sem:count()))"),
            "2truetrue0 -1 true true0");
}

TEST(semaphore, times_out) {
  EXPECT_EQ(answer(R"(
      local sem = require("ngx.semaphore").new()
      local ok, err = sem:wait(0) ngx.print(tostring(ok), err, " ")
      ok, err = sem:wait(0.005) ngx.print(tostring(ok), err, " ", sem:count()))"),
            "niltimeout niltimeout 0");
}

TEST(semaphore, serves_who_has_waited_longest) {
  EXPECT_EQ(answer(R"(
      local sem = require("ngx.semaphore").new()
      local order = {}
      local threads = {}
      for i = 1, 5 do
          threads[i] = ngx.thread.spawn(function() sem:wait(1) order[#order + 1] = i end)
      end
      sem:post(3)
      ngx.print(tostring(sem:wait(0)))
      sem:post(2)
      for i = 1, 5 do ngx.thread.wait(threads[i]) end
      ngx.print(table.concat(order)))"),
            "nil12345");
}

TEST(semaphore, a_waiting_request_leaves_its_shard_to_who_wakes_it) {
  test_node node(with("ngx.print(gate:wait(10))",
                      "location = /post { content_by_lua_block { gate:post() ngx.print(gate:count()) } }"));
  test_connection waits = test_client(node).connect();
  waits.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(test_client(node).get("/post").status, 200);
  EXPECT_EQ(waits.read_response().body, "true");
  EXPECT_EQ(node.stop(), 0);
}

TEST(semaphore, what_a_killed_thread_was_given_goes_to_the_next) {
  EXPECT_EQ(answer(R"(
      local sem = require("ngx.semaphore").new()
      local first = ngx.thread.spawn(function() sem:wait(1) end)
      local second = ngx.thread.spawn(function() return sem:wait(1) end)
      sem:post()
      ngx.thread.kill(first)
      ngx.print(tostring(select(2, ngx.thread.wait(second))), sem:count()))"),
            "true0");
}

TEST(semaphore, is_left_by_a_client_that_goes) {
  test_node node(with("ngx.print(gate:wait(10))",
                      "lua_check_client_abort on;"
                      "location = /count { content_by_lua_block { ngx.print(gate:count()) } }"));
  test_connection waits = test_client(node).connect();
  waits.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  test_client client(node);
  while (client.get("/count").body != "-1") {
  }
  waits.reset();
  while (client.get("/count").body != "0") {
  }
  EXPECT_EQ(node.stop(), 0);
}

TEST(semaphore, refuses_wrong_arguments) {
  EXPECT_EQ(answer(R"(
      local new = require("ngx.semaphore").new
      local function why(...) return (select(2, pcall(...)):gsub("^.-:%d+: ", "")) end
      local sem = new()
      ngx.say(why(new, -1))
      ngx.say(why(sem.wait, sem, -1))
      ngx.say(why(sem.post, sem, 0))
      ngx.say(why(sem.count, {})))"),
            "no negative number\nno negative number\npositive number required\n"
            "not a semaphore instance\n");
}

}  // namespace troupe::tests
