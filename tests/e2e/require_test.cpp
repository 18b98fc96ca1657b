// SPDX-License-Identifier: Apache-2.0
//
// require: modules that wait while they are loaded, and what stands in the way of a wait.
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

test_node_options with(const std::string& code) {
  return {.conf = "server { listen @port@; location / { content_by_lua_block { " + code + " } } }",
          .files = {
              {"lua/slow.lua", "loads = (loads or 0) + 1 ngx.sleep(0.02) return { value = 'slow ' .. loads }"},
              {"lua/outer.lua", "local inner = require 'slow' return { inner = inner }"},
              {"lua/nothing.lua", "local x = 1"},
              {"lua/loop.lua", "return require 'loop2'"},
              {"lua/loop2.lua", "return require 'loop'"},
              {"lua/broken.lua", "local function deep() ngx.sleep(0.001) error('alas') end deep()"},
              {"lua/syntax.lua", "return return"},
              {"lua/old.lua", "module('old', package.seeall) answer = 42"},
          }};
}

std::string answer(const std::string& code) {
  test_node node(with(code));
  return test_client(node).get("/").body;
}

}  // namespace

TEST(require, waits_for_a_module_that_waits) {
  EXPECT_EQ(answer(R"(
      ngx.say(require("outer").inner.value, " ", require("slow").value, " ", package.loaded.slow.value)
      ngx.say(tostring(require("nothing")), " ", require("old").answer, " ", old.answer))"),
            "slow 1 slow 1 slow 1\ntrue 42 42\n");
}

TEST(require, many_at_once_load_it_once) {
  test_node node(with("ngx.print(require('slow').value)"));
  std::vector<test_connection> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(test_client(node).connect());
    all.back().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  for (auto& each : all) EXPECT_EQ(each.read_response().body, "slow 1");
}

// Whoever loads a module may be killed on the way; others must not wait for it for ever.
TEST(require, of_a_module_whose_loader_was_killed_begins_anew) {
  EXPECT_EQ(answer(R"(
      local loader = ngx.thread.spawn(function() require("slow") end)
      ngx.thread.kill(loader)
      local waits = ngx.thread.spawn(function() return require("slow").value end)
      local limit = ngx.thread.spawn(function() ngx.sleep(2) return "still waits" end)
      ngx.say(select(2, ngx.thread.wait(waits, limit)))
      ngx.exit(200))"),
            "slow 2\n");
}

TEST(require, says_what_is_wrong_with_a_module) {
  EXPECT_EQ(answer(R"(
      local function why(name) ngx.say((tostring(select(2, pcall(require, name))):gsub("[^ ']*/lua/", ""):match("[^\n]*"))) end
      why("loop") why("broken") why("broken") why("syntax") why("no.such.thing") why(nil) why({}))"),
            "loop or previous error loading module 'loop'\n"
            "broken.lua:1: alas\n"
            "loop or previous error loading module 'broken'\n"
            "error loading module 'syntax' from file 'syntax.lua'syntax.lua:1: unexpected symbol near 'return'\n"
            "module 'no.such.thing' not found:\n"
            "bad argument #1 to 'require' (string expected, got no value)\n"
            "bad argument #1 to 'require' (string expected, got table)\n");
}

TEST(require, a_file_that_is_there_and_cannot_be_opened_is_named) {
  temp_dir folder;
  std::filesystem::create_symlink("hidden.lua", folder.path() / "hidden.lua");  // To itself.
  const std::string file = (folder.path() / "hidden.lua").string();
  EXPECT_EQ(answer("package.path = '" + (folder.path() / "?.lua").string() + R"('
      local found, why = pcall(require, "hidden")
      ngx.say(why:match("^[^\n]*\n[^\n]*")) ngx.say(why:match("no file '[^']*hidden.lua'")))"),
            "module 'hidden' not found:\n\tcannot open " + file +
                ": Too many levels of symbolic links\nno file '" + file + "'\n");
}

TEST(require, the_log_shows_where_a_module_failed) {
  test_node node(with("require 'broken'"));
  EXPECT_EQ(test_client(node).get("/").status, 500);
  EXPECT_TRUE(node.logs("broken.lua:1: alas"));
  EXPECT_TRUE(node.logs("in function 'deep'"));
}

TEST(require, a_c_function_that_cannot_wait_is_named) {
  EXPECT_EQ(answer(R"(
      local function why(f) ngx.say((tostring(select(2, pcall(f))):match("attempt.*"))) end
      why(function() table.sort({ 2, 1 }, function() ngx.sleep(0) end) end)
      why(function() local s = string.gsub("x", "x", function() require("slow") end) return s end))"),
            "attempt to yield across C-call boundary: 'sort' is below and cannot wait\n"
            "attempt to yield across C-call boundary: 'gsub' is below and cannot wait\n");
}

}  // namespace troupe::tests
