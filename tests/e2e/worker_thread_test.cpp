// SPDX-License-Identifier: Apache-2.0
//
// ngx.run_worker_thread: code that blocks, off the shards.
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

test_node_options with(const std::string& code, const std::string& more = {},
                       const std::string& main = "thread_pool slow threads=2;") {
  return {.conf = "lua_shared_dict seen 64k; server { listen @port@; " + more +
                  " location = / { content_by_lua_block { " + code + " } } }",
          .main = main,
          .files = {{"lua/work.lua", R"(
              local function echo(...) return ... end
              local function block(path)  -- until the file is there
                  while not io.open(path) do end
                  return "unblocked"
              end
              local function fail() error("alas") end
              local function bad() return { f = print } end
              local function digest(text) return ngx.md5(text), ngx.encode_base64(text) end
              local function count() return ngx.shared.seen:incr("n", 1, 0) end
              local function request() return ngx.var.uri end
              local function wait() ngx.sleep(0.1) end
              return { echo = echo, block = block, fail = fail, bad = bad, digest = digest,
                       count = count, request = request, wait = wait })"}}};
}

std::string answer(const std::string& code, const std::string& main = "thread_pool slow threads=2;") {
  test_node node(with(code, {}, main));
  return test_client(node).get("/").body;
}

}  // namespace

TEST(worker_thread, takes_and_gives_values_of_all_kinds) {
  EXPECT_EQ(answer(R"(
      local r = { ngx.run_worker_thread("slow", "work", "echo", nil, true, 1.5, "a\0b", ngx.null,
                                        { 1, { deep = { "x" } }, n = 2 }) }
      ngx.say(tostring(r[1]), tostring(r[2]), tostring(r[3]), r[4], #r[5], tostring(r[6] == ngx.null),
              r[7][1], r[7][2].deep[1], r[7].n)
      ngx.say(ngx.run_worker_thread("slow", "work", "digest", "hello"))
      ngx.run_worker_thread("slow", "work", "count")
      ngx.say(ngx.run_worker_thread("slow", "work", "count"), ngx.shared.seen:get("n")))"),
            "trueniltrue1.53true1x2\ntrue5d41402abc4b2a76b9719d911017c592aGVsbG8=\ntrue2\n");
}

TEST(worker_thread, that_blocks_leaves_the_shard_free) {
  test_node node(with("ngx.print(ngx.run_worker_thread('slow', 'work', 'block', ngx.config.prefix() .. 'go'))",
                      "location = /go { content_by_lua_block { io.open(ngx.config.prefix() .. 'go', 'w'):close() } }"));
  test_connection waits = test_client(node).connect();
  waits.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(test_client(node).get("/go").status, 200);
  EXPECT_EQ(waits.read_response().body, "trueunblocked");
  EXPECT_EQ(node.stop(), 0);
}

TEST(worker_thread, says_what_went_wrong) {
  EXPECT_EQ(answer(R"(
      local function say(ok, err) ngx.say(tostring(ok), " ", (err:gsub("^.*work.lua:%d+: ", ""):match("[^\n]*"))) end
      say(ngx.run_worker_thread("slow", "work"))
      say(ngx.run_worker_thread("slow", 1, "echo"))
      say(ngx.run_worker_thread("none", "work", "echo"))
      say(ngx.run_worker_thread("slow", "work", "fail"))
      say(ngx.run_worker_thread("slow", "work", "nothing"))
      say(ngx.run_worker_thread("slow", "no.such.module", "f"))
      say(ngx.run_worker_thread("slow", "work", "bad"))
      say(ngx.run_worker_thread("slow", "work", "echo", print))
      say(ngx.run_worker_thread("slow", "work", "request"))
      say(ngx.run_worker_thread("slow", "work", "wait"))
      local t = {} t.t = t
      say(ngx.run_worker_thread("slow", "work", "echo", t))
      say(ngx.run_worker_thread("default", "work", "echo", "the default pool is there")))"),
            "false expecting at least 3 arguments\n"
            "false module name should be a string\n"
            "false thread pool none not found\n"
            "false alas\n"
            "false module work has no function nothing\n"
            "false module 'no.such.module' not found:\n"
            "false unsupported Lua type: LUA_TFUNCTION in the return value\n"
            "false unsupported Lua type: LUA_TFUNCTION in the argument\n"
            "false no request found\n"
            "false attempt to yield across C-call boundary\n"
            "false suspicious circular references, table depth exceed max depth: 100 in the argument\n"
            "true the default pool is there\n");
}

TEST(worker_thread, survives_a_module_that_refuses_unknown_fields) {
  test_node node({.conf = R"(server { listen @port@; location / { content_by_lua_block {
                      ngx.print((select(2, ngx.run_worker_thread("slow", "strict", "nothing"))):match("no .*")) } } })",
                  .main = "thread_pool slow threads=1;",
                  .files = {{"lua/strict.lua", R"(return setmetatable({}, {
                      __index = function(_, name) error("no such thing: " .. name) end }))"}}});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(test_client(node).get("/").body, "no such thing: nothing");
  EXPECT_EQ(node.stop(), 0);
}

TEST(worker_thread, of_a_client_that_went_or_a_node_that_stops_disturbs_nobody) {
  test_node node(with("ngx.run_worker_thread('slow', 'work', 'block', ngx.config.prefix() .. 'go')",
                      "lua_check_client_abort on; location = /go { content_by_lua_block { io.open(ngx.config.prefix() .. 'go', 'w'):close() } }"));
  for (int i = 0; i < 4; ++i) {
    test_connection gone = test_client(node).connect();
    gone.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gone.reset();
  }
  EXPECT_EQ(test_client(node).get("/go").status, 200);
  EXPECT_EQ(node.stop(SIGTERM), 0);
}

TEST(worker_thread, pools_are_checked) {
  for (const char* wrong : {"thread_pool a threads=0;", "thread_pool a threads=x;", "thread_pool a max_queue=1;",
                            "thread_pool a threads=1; thread_pool a threads=1;"}) {
    test_node node({.conf = "server { listen @port@; }", .main = wrong, .starts = false});
    EXPECT_EQ(node.wait(), 1) << wrong;
    EXPECT_NE(node.log().find("thread"), std::string::npos) << node.log();
  }
}

}  // namespace troupe::tests
