// SPDX-License-Identifier: Apache-2.0
//
// ngx.timer.at and every: when they run, with what, how many, and how they end.
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

test_node_options with(const std::string& code, const std::string& more = {}) {
  return {.conf = "lua_shared_dict seen 64k; " + more + R"(
  init_worker_by_lua_block {
      function poll_until(f)  -- waits for what timers do
          for _ = 1, 2000 do
              local value = f()
              if value then return value end
              ngx.sleep(0.002)
          end
          error("it never came")
      end
  }
  server { listen @port@; location = / { content_by_lua_block { )" + code + R"( } }
           location = /seen { content_by_lua_block { ngx.print(ngx.shared.seen:get("it")) } } })"};
}

std::string answer(const std::string& code, const std::string& more = {}) {
  test_node node(with(code, more));
  return test_client(node).get("/").body;
}

}  // namespace

TEST(timer, runs_after_its_maker_has_answered_with_its_arguments) {
  test_node node(with(R"(
      ngx.print(ngx.timer.at(0.01, function(premature, ...)
          ngx.sleep(0.001)
          ngx.shared.seen:set("it", table.concat({ tostring(premature), ngx.get_phase(), ... }, " "))
          print("the timer has run")
      end, "a", 2, "c")))"));
  EXPECT_EQ(test_client(node).get("/").body, "1");
  ASSERT_TRUE(node.logs("the timer has run"));
  EXPECT_EQ(test_client(node).get("/seen").body, "false timer a 2 c");
  EXPECT_NE(node.log().find("the timer has run, context: ngx.timer, client: 127.0.0.1, server: "),
            std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(timer, fires_in_the_order_of_the_delays) {
  EXPECT_EQ(answer(R"(
      local order = {}
      local function note(_, n) order[#order + 1] = n end
      ngx.timer.at(0.02, note, 3) ngx.timer.at(0, note, 1) ngx.timer.at(0.01, note, 2)
      poll_until(function() return #order == 3 end)
      ngx.print(table.concat(order)))"),
            "123");
}

TEST(timer, every_goes_on_with_the_same_arguments_whatever_a_callback_does) {
  EXPECT_EQ(answer(R"(
      local rounds = {}
      ngx.timer.every(0.002, function(premature, name)
          if premature then return end
          rounds[#rounds + 1] = name
          name = nil
          if #rounds == 2 then error("in between") end
      end, "x")
      poll_until(function() return #rounds >= 4 end)
      ngx.print(table.concat(rounds, "", 1, 4)))"),
            "xxxx");
}

TEST(timer, errors_are_logged_with_a_traceback_and_disturb_nobody) {
  test_node node(with("ngx.timer.at(0, function() local nothing; nothing.field = 1 end) ngx.print('ok')"));
  EXPECT_EQ(test_client(node).get("/").body, "ok");
  ASSERT_TRUE(node.logs("stack traceback:"));
  EXPECT_NE(node.log().find("lua entry thread aborted: runtime error: content_by_lua(nginx.conf:"),
            std::string::npos);
  EXPECT_NE(node.log().find("context: ngx.timer"), std::string::npos);
  EXPECT_EQ(test_client(node).get("/").status, 200);
}

TEST(timer, has_a_ctx_and_light_threads_and_ends_by_exit) {
  EXPECT_EQ(answer(R"(
      local got = {}
      ngx.ctx.mine = 1
      ngx.timer.at(0, function()
          got[1] = tostring(ngx.ctx.mine)
          ngx.ctx.mine = 2
          local t = ngx.thread.spawn(function() ngx.sleep(0.001) return ngx.ctx.mine end)
          local _, value = ngx.thread.wait(t)
          got[2] = value
          ngx.exit(0)
          got[3] = "no"
      end)
      poll_until(function() return got[2] end)
      ngx.sleep(0.01)
      ngx.print(table.concat(got, " "), " ", ngx.timer.running_count()))"),
            "nil 2 0");
}

TEST(timer, counts_those_that_wait_and_those_that_run) {
  EXPECT_EQ(answer(R"(
      for _ = 1, 3 do ngx.timer.at(0, function() ngx.sleep(0.05) end) end
      for _ = 1, 2 do ngx.timer.at(60, function() end) end
      local before = ngx.timer.pending_count() .. " " .. ngx.timer.running_count()
      poll_until(function() return ngx.timer.running_count() == 3 end)
      ngx.print(before, ", ", ngx.timer.pending_count(), " ", ngx.timer.running_count()))"),
            "5 0, 2 3");
}

TEST(timer, refuses_more_than_lua_max_pending_timers) {
  EXPECT_EQ(answer(R"(
      local function f() end
      ngx.print(ngx.timer.at(9, f), " ", ngx.timer.at(9, f), " ", select(2, ngx.timer.at(9, f))))",
                   "lua_max_pending_timers 2;"),
            "1 1 too many pending timers");
}

TEST(timer, says_which_function_did_not_run_for_lua_max_running_timers) {
  test_node node(with(R"(
      for _ = 1, 2 do ngx.timer.at(0, function() ngx.sleep(0.05) end) end ngx.print("ok"))",
                      "lua_max_running_timers 1;"));
  EXPECT_EQ(test_client(node).get("/").body, "ok");
  EXPECT_TRUE(node.logs("lua failed to run timer with function defined at =content_by_lua(nginx.conf:"));
  EXPECT_TRUE(node.logs("1 lua_max_running_timers are not enough"));
}

TEST(timer, refuses_wrong_arguments_by_name) {
  EXPECT_EQ(answer(R"(
      local function why(...) return select(2, pcall(...)) end
      ngx.say(why(ngx.timer.at, 1))
      ngx.say(why(ngx.timer.at, "soon", function() end))
      ngx.say(why(ngx.timer.at, -1, function() end))
      ngx.say(why(ngx.timer.at, 1, print))
      ngx.say(why(ngx.timer.every, 0, function() end)))"),
            "expecting at least 2 arguments but got 1\n"
            "bad argument #1 to '?' (number expected, got string)\n"
            "bad argument #1 to '?' (delay cannot be negative)\n"
            "bad argument #2 to '?' (Lua function expected)\n"
            "delay cannot be zero\n");
}

TEST(timer, what_needs_a_request_says_that_there_is_none) {
  test_node node(with(R"(
      for _, f in ipairs { function() ngx.say("x") end, function() local u = ngx.var.uri end,
                           function() ngx.location.capture("/") end } do
          ngx.timer.at(0, f)
      end)"));
  test_client(node).get("/");
  EXPECT_TRUE(node.logs("API disabled in the context of ngx.timer"));
  EXPECT_TRUE(node.logs("API disabled in the current context"));
}

TEST(timer, made_by_init_worker_runs_too) {
  test_node node({.conf = R"(
      init_worker_by_lua_block { ngx.timer.at(0, function() print("from the worker") end) }
      server { listen @port@; return 204; })"});
  EXPECT_TRUE(node.logs("from the worker, context: ngx.timer"));
}

TEST(timer, waits_no_longer_when_a_new_configuration_comes) {
  test_node node(with(R"(
      ngx.timer.at(3600, function(premature)
          print("premature: ", premature, ", exiting: ", ngx.worker.exiting(), ", again: ",
                select(2, ngx.timer.at(1, print_nothing or function() end)))
          ngx.timer.at(0, function(p) print("at once: ", p) end)
      end))",
                      "exit_worker_by_lua_block { print('the worker has ended') }"));
  test_client(node).get("/");
  node.signal(SIGHUP);
  EXPECT_TRUE(node.logs("premature: true, exiting: true, again: process exiting"));
  EXPECT_TRUE(node.logs("at once: false"));
  EXPECT_TRUE(node.logs("the worker has ended"));
  EXPECT_EQ(test_client(node).get("/").status, 200);
  EXPECT_EQ(node.stop(), 0);
}

TEST(timer, a_graceful_stop_lets_callbacks_finish_and_a_fast_one_does_not) {
  const std::string code = R"(
      ngx.timer.at(0, function() print("begun") ngx.sleep(0.1) print("finished") end)
      ngx.timer.at(3600, function(premature) print("early: ", premature) end))";
  test_node slow(with(code));
  test_client(slow).get("/");
  ASSERT_TRUE(slow.logs("begun"));
  EXPECT_EQ(slow.stop(SIGQUIT), 0);
  EXPECT_TRUE(slow.logs("finished"));
  EXPECT_TRUE(slow.logs("early: true"));
  test_node fast(with("ngx.timer.at(0, function() print('begun') ngx.sleep(3600) end)"));
  test_client(fast).get("/");
  ASSERT_TRUE(fast.logs("begun"));
  EXPECT_EQ(fast.stop(SIGTERM), 0);
}

TEST(timer, a_hundred_thousand_leave_nothing_behind) {
  const std::string said = answer(R"(
      local function rss()
          for line in io.lines("/proc/self/status") do
              local kb = line:match('VmRSS:%s+(%d+)')
              if kb then return tonumber(kb) end
          end
      end
      local ran, before = 0
      local function f() ran = ran + 1 end
      for round = 1, 1000 do
          for _ = 1, 100 do assert(ngx.timer.at(0, f)) end
          local all = round * 100
          poll_until(function() return ran == all end)
          if round == 200 then collectgarbage() before = rss() end
      end
      collectgarbage()
      ngx.print(ran, " ", rss() - before < 4096 and "flat" or rss() - before))");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  EXPECT_EQ(said.substr(0, 7), "100000 ");  // Sanitizers keep what was freed.
#else
  EXPECT_EQ(said, "100000 flat");
#endif
}

}  // namespace troupe::tests
