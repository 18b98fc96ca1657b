// SPDX-License-Identifier: Apache-2.0
//
// Coroutines of the user and light threads: what is over or out of reach takes no memory, also while
// the script that made it goes on.
#include "tests/support/resident_memory.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

#include <string>

namespace troupe::tests {
namespace {

std::string answer(const std::string& code) {
  test_node node({.conf = "server { listen @port@; location = / { content_by_lua_block { " + code + " } } }"});
  const std::string body = test_client(node).get("/").body;
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
  return body;
}

// Kilobytes more after a million times, all in one request, than after the first thousands.
std::int64_t growth(const std::string& once) {
  test_node node({.conf = "server { listen @port@; location = / { content_by_lua_block { local function once() " +
                          once + R"( end
        for i = 1, tonumber(ngx.var.arg_n) do once() end ngx.print("done") } } })"});
  test_client client(node);
  EXPECT_EQ(client.get("/?n=20000").body, "done");
  const auto before = resident_kilobytes(node.pid());
  EXPECT_EQ(client.get("/?n=1000000").body, "done");
  const auto after = resident_kilobytes(node.pid());
  EXPECT_EQ(node.stop(), 0);
  return after - before;
}

constexpr std::int64_t generous = 30'000;

}  // namespace

TEST(coroutine_memory, a_million_that_yield_once_and_are_dropped) {
  EXPECT_LT(growth("coroutine.wrap(function() coroutine.yield(1) end)()"), generous);
}

TEST(coroutine_memory, a_million_that_never_ran) {
  EXPECT_LT(growth("coroutine.create(function() end)"), generous);
}

TEST(coroutine_memory, a_million_light_threads_that_nobody_waits_for) {
  EXPECT_LT(growth("ngx.thread.spawn(function() return 1, 2 end)"), generous);
}

TEST(coroutine_memory, a_million_that_spawn_a_light_thread_and_are_dropped) {
  EXPECT_LT(growth("coroutine.wrap(function() ngx.thread.spawn(function() end) coroutine.yield() end)()"),
            generous);
}

TEST(coroutine, one_that_is_suspended_outlives_collections) {
  EXPECT_EQ(answer(R"(
      local function generator()
        local kept = { "kept" }
        return coroutine.wrap(function() for i = 1, 3 do coroutine.yield(kept[1] .. i) end return "end" end)
      end
      local all = {}
      for i = 1, 50 do all[i] = generator() end
      for round = 1, 4 do
        collectgarbage() collectgarbage()
        for i = 1, 50 do
          local got = all[i]()
          if i == 50 then ngx.print(got, " ") end
        end
      end)"),
            "kept1 kept2 kept3 end ");
}

TEST(coroutine, one_that_waits_is_kept_while_its_resumer_is_all_that_has_it) {
  EXPECT_EQ(answer(R"(
      ngx.print(coroutine.wrap(function()
        return coroutine.wrap(function() ngx.sleep(0.01) collectgarbage() ngx.sleep(0.01) return "slept" end)()
      end)()))"),
            "slept");
}

TEST(coroutine, one_ends_with_the_killed_light_thread_that_resumed_it) {
  EXPECT_EQ(answer(R"(
      local said = {}
      local thread = ngx.thread.spawn(function()
        coroutine.wrap(function() ngx.sleep(0.02) collectgarbage() said[1] = "went on" end)()
        said[2] = "not reached"
      end)
      assert(ngx.thread.kill(thread))
      thread = nil
      collectgarbage() collectgarbage()
      ngx.sleep(0.1)
      ngx.print(tostring(said[1]), " ", tostring(said[2])))"),
            "nil nil");
}

TEST(light_thread, one_that_has_ended_can_be_waited_for_as_long_as_somebody_has_it) {
  EXPECT_EQ(answer(R"(
      local thread = ngx.thread.spawn(function(a) return a, 2, "three" end, 1)
      ngx.print(coroutine.status(thread), " ")
      collectgarbage() collectgarbage()
      ngx.say(ngx.thread.wait(thread))
      ngx.say(coroutine.status(thread))
      ngx.say(ngx.thread.wait(thread))
      local other = ngx.thread.spawn(function() end)
      ngx.say(ngx.thread.kill(other))
      ngx.say(ngx.thread.kill(other))
      local child = ngx.thread.spawn(function() end)
      ngx.say((coroutine.wrap(function() return select(2, pcall(ngx.thread.wait, child)) end)()))
      ngx.say(select(2, ngx.thread.kill(coroutine.create(function() end)))))"),
            "zombie true12three\ndead\nnilalready waited or killed\nnilalready terminated\n"
            "nilalready waited or killed\nonly the parent coroutine can wait on the thread\nnot user thread\n");
}

TEST(light_thread, a_coroutine_that_yielded_meanwhile_waits_for_its_own) {
  EXPECT_EQ(answer(R"(
      local co = coroutine.create(function()
        local one = ngx.thread.spawn(function() ngx.sleep(0.02) return "slow" end)
        local two = ngx.thread.spawn(function() return "quick" end)
        coroutine.yield()
        local _, first = ngx.thread.wait(two)
        local _, second = ngx.thread.wait(one)
        return first .. " " .. second
      end)
      coroutine.resume(co)
      collectgarbage() collectgarbage()
      ngx.print(select(2, coroutine.resume(co))))"),
            "quick slow");
}

TEST(light_thread, one_of_a_request_that_is_over_is_no_longer_waited_for) {
  test_node node({.conf = R"(init_by_lua_block { kept = {} } server { listen @port@;
      location = /make { content_by_lua_block {
        kept.thread = ngx.thread.spawn(function() return 1 end)
        kept.co = coroutine.create(function() end) ngx.print("made") } }
      location = /use { content_by_lua_block {
        ngx.say(ngx.thread.wait(kept.thread))
        ngx.say(pcall(coroutine.resume, kept.co)) } } })"});
  test_client client(node);
  EXPECT_EQ(client.get("/make").body, "made");
  EXPECT_EQ(client.get("/use").body, "nilalready waited or killed\nfalseno co ctx found\n");
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
