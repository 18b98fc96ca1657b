// SPDX-License-Identifier: Apache-2.0
//
// The phases of a request as their author sees them: their order, that each may wait, what an error
// in each does.
#include <gtest/gtest.h>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

TEST(phases, run_in_order_and_each_may_wait) {
  test_node node({.conf = R"(
    server { listen 8080;
      server_rewrite_by_lua_block { ngx.sleep(0.001) ngx.ctx.way = "server_rewrite" }
      location / {
        set_by_lua_block $set { ngx.sleep(0.001) return "set" }
        rewrite_by_lua_block { ngx.sleep(0.001) ngx.ctx.way = ngx.ctx.way .. " " .. ngx.var.set .. " rewrite" }
        access_by_lua_block { ngx.sleep(0.001) ngx.ctx.way = ngx.ctx.way .. " access" }
        precontent_by_lua_block { ngx.sleep(0.001) ngx.ctx.way = ngx.ctx.way .. " precontent" }
        content_by_lua_block { ngx.sleep(0.001) ngx.ctx.way = ngx.ctx.way .. " content" ngx.say("body") }
        header_filter_by_lua_block { ngx.sleep(0.001) ngx.header["X-Way"] = ngx.ctx.way .. " header_filter" }
        body_filter_by_lua_block { ngx.sleep(0.001) ngx.arg[1] = ngx.arg[1]:upper() }
        log_by_lua_block { ngx.sleep(0.001) ngx.log(ngx.NOTICE, ngx.ctx.way, " log") }
      } })",
                  .log_level = "notice"});
  const auto response = test_client(node).get("/");
  EXPECT_EQ(response.body, "BODY\n");
  EXPECT_EQ(response.header("X-Way"),
            "server_rewrite set rewrite access precontent content header_filter");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_TRUE(node.logs("server_rewrite set rewrite access precontent content log"));
}

TEST(phases, answer_500_to_an_error_and_go_on_serving) {
  test_node node({.conf = R"(
    server { listen 8080;
      location /rewrite { rewrite_by_lua_block { error("in rewrite") } return 200 "no"; }
      location /access { access_by_lua_block { error("in access") } content_by_lua_block { ngx.say("no") } }
      location /content { content_by_lua_block { error("in content") } }
      location /log { content_by_lua_block { ngx.say("fine") } log_by_lua_block { error("in log") } }
      location /fine { content_by_lua_block { ngx.say("fine") } } })"});
  test_client client(node);
  EXPECT_EQ(client.get("/access").status, 500);
  EXPECT_EQ(client.get("/content").status, 500);
  EXPECT_EQ(client.get("/log").body, "fine\n");
  EXPECT_EQ(client.get("/fine").body, "fine\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_TRUE(node.logs("in access"));
  EXPECT_TRUE(node.logs("stack traceback:"));
  EXPECT_TRUE(node.logs("failed to run log_by_lua*"));
}

TEST(phases, end_where_lua_says_so_whatever_stands_around_it) {
  test_node node({.conf = R"(
    server { listen 8080;
      location /exit { content_by_lua_block { pcall(function() ngx.exit(403) end) ngx.say("never") } }
      location /exec { content_by_lua_block { pcall(ngx.exec, "/target", "a=1") } }
      location /target { internal; content_by_lua_block { ngx.say(ngx.var.uri, " ", ngx.var.args) } }
      location /redirect { access_by_lua_block { ngx.redirect("/there", 301) } } })"});
  test_client client(node);
  EXPECT_EQ(client.get("/exit").status, 403);
  EXPECT_EQ(client.get("/exec").body, "/target a=1\n");
  EXPECT_EQ(client.get("/target").status, 404);
  const auto moved = client.get("/redirect");
  EXPECT_EQ(moved.status, 301);
  EXPECT_EQ(moved.header("Location"), "/there");
  EXPECT_EQ(node.stop(), 0);
}

TEST(phases, let_lua_know_that_a_client_has_gone) {
  test_node node({.conf = R"(
    server { listen 8080; lua_check_client_abort on;
      location /wait { content_by_lua_block {
        ngx.on_abort(function() package.loaded.gone = true ngx.exit(499) end)
        ngx.sleep(60) } }
      location /gone { content_by_lua_block { ngx.say(package.loaded.gone) } } })"});
  test_client client(node);
  auto leaving = client.start("GET /wait");
  EXPECT_EQ(client.get("/gone").body, "nil\n");
  leaving.connection().reset();
  // The news travels through the kernel; asking costs nothing but turns of the loop.
  std::string gone;
  for (int i = 0; i < 10000 && gone != "true\n"; ++i) gone = client.get("/gone").body;
  EXPECT_EQ(gone, "true\n");
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace
TEST(phases, a_wait_inside_an_if_block_goes_on_in_it) {
  test_node node({.conf = R"(server { listen @port@; location / { set $y 0;
      if ($arg_a) { set_by_lua_block $y { ngx.sleep(0.002) return 1 } add_header X $y; content_by_lua_block { ngx.print("in ", ngx.var.y) } }
      content_by_lua_block { ngx.print("out") } } })"});
  test_client client(node);
  EXPECT_EQ(client.get("/?a=1").body, "in 1");
  EXPECT_EQ(client.get("/").body, "out");
  EXPECT_EQ(node.stop(), 0);
}

TEST(phases, a_header_filter_that_has_waited_may_refuse) {
  test_node node({.conf = R"(server { listen @port@; location / {
      header_filter_by_lua_block { ngx.sleep(0.002) return ngx.exit(403) } content_by_lua_block { ngx.print("secret") } } })"});
  const response refused = test_client(node).get("/");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.body.find("secret"), std::string::npos);
}

TEST(phases, the_response_goes_on_beside_a_request_socket) {
  test_node node({.conf = R"(server { listen @port@; location / { content_by_lua_block {
      local sock = ngx.req.socket() sock:receive(5) ngx.print(("x"):rep(20000000)) } } })"});
  test_connection client = test_client(node).connect();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
  EXPECT_GT(client.read_rest().size(), 20000000u);
}

TEST(phases, many_threads_may_wait_for_one_body) {
  test_node node({.conf = R"(server { listen @port@; location / { content_by_lua_block {
      local function body() ngx.req.read_body() return ngx.req.get_body_data() end
      local a, b, c = ngx.thread.spawn(body), ngx.thread.spawn(body), ngx.thread.spawn(body)
      ngx.thread.kill(b)
      ngx.print(body(), select(2, ngx.thread.wait(a)), select(2, ngx.thread.wait(c))) } } })"});
  test_connection client = test_client(node).connect();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  EXPECT_EQ(test_client(node).post("/", "x").body, "xxx");
  client.send("cd");
  EXPECT_EQ(client.read_response().body, "abcdabcdabcd");
}

}  // namespace troupe::tests
