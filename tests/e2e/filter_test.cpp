// SPDX-License-Identifier: Apache-2.0
//
// Output filters that wait: what is said meanwhile stands in line behind them, in its order and
// whole.
#include <gtest/gtest.h>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

// One thread's output holds the filter until the code posts the gate.
std::string location(const std::string& filters, const std::string& code) {
  return "server { listen 8080; location / {"
         " rewrite_by_lua_block { ngx.ctx.gate = require('ngx.semaphore').new() } " +
         filters + " content_by_lua_block { local gate = ngx.ctx.gate " + code + " } } }";
}

const std::string body_filter = R"(
    body_filter_by_lua_block {
      if ngx.arg[1] == "one" then assert(ngx.ctx.gate:wait(30)) end
      ngx.arg[1] = "<" .. ngx.arg[1] .. ">" })";

std::string answer(const std::string& filters, const std::string& code) {
  test_node node({.conf = location(filters, code)});
  test_client client(node);
  const auto response = client.get("/");
  EXPECT_EQ(response.error, "");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
  return response.body;
}

}  // namespace

TEST(filters, output_of_other_threads_stands_in_line_behind_a_body_filter_that_waits) {
  EXPECT_EQ(answer(body_filter, R"(
      local said = {}
      local function say(text) return function() assert(ngx.print(text)) said[#said + 1] = text end end
      local a = ngx.thread.spawn(say "one")
      local b = ngx.thread.spawn(say "two")
      local c = ngx.thread.spawn(function() assert(ngx.flush(true)) assert(ngx.print("four")) end)
      local d = ngx.thread.spawn(say "three")
      assert(#said == 0)
      gate:post()
      ngx.thread.wait(a) ngx.thread.wait(b) ngx.thread.wait(c) ngx.thread.wait(d)
      ngx.print(table.concat(said, " ")))"),
            "<one><two><three><four><one two three><>");
}

TEST(filters, output_of_other_threads_waits_for_the_head_too) {
  const std::string header_filter =
      "header_filter_by_lua_block { assert(ngx.ctx.gate:wait(30)) ngx.header.late = 'yes' }";
  const std::string code = R"(
      local a = ngx.thread.spawn(function() ngx.say("one") end)
      local b = ngx.thread.spawn(function() ngx.say("two") ngx.flush(true) end)
      local ok, err = pcall(ngx.redirect, "/elsewhere")
      gate:post()
      ngx.thread.wait(a) ngx.thread.wait(b)
      ngx.say(err))";
  test_node node({.conf = location(header_filter, code)});
  const auto response = test_client(node).get("/");
  EXPECT_EQ(response.header("late"), "yes");
  EXPECT_EQ(response.body,
            "one\ntwo\nattempt to call ngx.redirect after sending out the headers\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(filters, what_a_killed_thread_has_said_goes_out) {
  EXPECT_EQ(answer(body_filter, R"(
      local a = ngx.thread.spawn(function() ngx.print("one") end)
      local b = ngx.thread.spawn(function() ngx.print("two") ngx.print("never") end)
      assert(ngx.thread.kill(a)) assert(ngx.thread.kill(b))
      gate:post()
      ngx.print("three"))"),
            "<one><two><three><>");
}

TEST(filters, a_handler_that_ends_before_its_output_has_passed_is_answered_whole) {
  EXPECT_EQ(answer(body_filter, R"(
      ngx.thread.spawn(function() ngx.print("one") end)
      ngx.thread.spawn(function() ngx.print("two") end)
      ngx.timer.at(0, function() gate:post() end)
      ngx.exit(200))"),
            "<one><two><>");
  EXPECT_EQ(answer(body_filter, R"(
      ngx.thread.spawn(function() ngx.print("one") end)
      local last = ngx.thread.spawn(function() ngx.print("two") ngx.eof() end)
      gate:post()
      ngx.thread.wait(last)
      assert(select(2, ngx.print("late")) == "seen eof"))"),
            "<one><two><>");
}

TEST(filters, an_error_page_takes_the_place_of_what_a_header_filter_has) {
  test_node node({.conf = location(
                      R"(header_filter_by_lua_block {
           ngx.header.status_seen = ngx.status
           if not ngx.ctx.second then ngx.ctx.second = true ngx.ctx.gate:wait(30) end })",
                      R"(ngx.thread.spawn(function() ngx.print("one") end) ngx.exit(404))")});
  const auto response = test_client(node).get("/");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.header("status-seen"), "404");
  EXPECT_EQ(response.body.find("one"), std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(filters, a_file_waits_for_its_filters) {
  std::string bytes;
  for (int i = 0; bytes.size() < 300000; ++i) bytes += std::to_string(i) + " line\n";
  std::string upper = bytes;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  test_node node({.conf = R"(
    server { listen 8080;
      location /head { alias html/; header_filter_by_lua_block { ngx.sleep(0.005) ngx.header.late = "yes" } }
      location /both { alias html/; header_filter_by_lua_block { ngx.sleep(0.005) ngx.header.late = "yes" }
        body_filter_by_lua_block { ngx.sleep(0.001) ngx.arg[1] = ngx.arg[1]:upper() } } })",
                  .files = {{"html/file.txt", bytes}}});
  test_client client(node);
  const auto head = client.get("/head/file.txt");
  EXPECT_EQ(head.header("late"), "yes");
  EXPECT_EQ(head.body, bytes);
  const auto both = client.get("/both/file.txt");
  EXPECT_EQ(both.header("late"), "yes");
  EXPECT_EQ(both.body, upper);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(filters, each_echo_is_a_piece_of_its_own_and_may_wait) {
  test_node node({.conf = R"(
    server { listen 8080; location / { echo -n one; echo -n two; echo_duplicate 2 x;
      body_filter_by_lua_block { ngx.sleep(0.001)
        ngx.arg[1] = "<" .. ngx.arg[1] .. tostring(ngx.arg[2]) .. ">" } } })"});
  EXPECT_EQ(test_client(node).get("/").body, "<onefalse><twofalse><xxfalse><true>");
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
