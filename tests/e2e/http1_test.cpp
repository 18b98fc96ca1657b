// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.x as clients see it.
//
// Source   RFC 9112; keepalive_*, client_* of ngx_http_core_module.
#include <gtest/gtest.h>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

test_node_options app(const std::string& more = {}) {
  return {.conf = "server { listen @port@; " + more + R"(
      location / { content_by_lua_block { ngx.req.read_body() ngx.print(ngx.req.get_body_data()) } }
      location /file { content_by_lua_block {
          ngx.req.read_body()
          local path = ngx.req.get_body_file()
          ngx.say(path and #io.open(path):read("*a") or "memory")
      } }
      location /unread { content_by_lua_block { ngx.say("ok") } }
      location /fine { return 200 "fine"; }
      location /uri { content_by_lua_block { ngx.say(ngx.var.host, " ", ngx.var.uri, " ", ngx.var.args) } }
      location /parts { content_by_lua_block { for i = 1, 3 do ngx.print(i) ngx.flush(true) end } }
      location /large { content_by_lua_block { for i = 1, 200 do ngx.print(("x"):rep(100000)) ngx.flush(true) end } }
  })"};
}

}  // namespace

TEST(http1, keeps_connections_alive_as_the_version_and_the_client_say) {
  test_node node(app());
  auto ask = [&](const std::string& version, const std::string& fields) {
    test_connection client = test_client(node).connect();
    client.send("GET /fine " + version + "\r\nHost: a\r\n" + fields + "\r\n");
    const response answer = client.read_response();
    EXPECT_EQ(answer.body, "fine");
    return *answer.header("Connection") + (client.has_more() ? " " : "");
  };
  EXPECT_TRUE(ask("HTTP/1.1", "").starts_with("keep-alive"));
  EXPECT_TRUE(ask("HTTP/1.1", "Connection: close\r\n").starts_with("close"));
  EXPECT_TRUE(ask("HTTP/1.0", "").starts_with("close"));
  EXPECT_TRUE(ask("HTTP/1.0", "Connection: keep-alive\r\n").starts_with("keep-alive"));
}

TEST(http1, ends_a_connection_after_keepalive_requests) {
  test_node node(app("keepalive_requests 2;"));
  test_connection client = test_client(node).connect();
  for (int i = 0; i < 2; ++i) {
    client.send("GET /fine HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(client.read_response().header("Connection"), i == 0 ? "keep-alive" : "close");
  }
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST(http1, answers_pipelined_requests_in_their_order) {
  test_node node(app());
  test_connection client = test_client(node).connect();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\noneGET /fine HTTP/1.1\r\nHost: a\r\n\r\n"
              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
              "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthreeGET /fine HTTP/1.1\r\nHost: a\r\n\r\n");
  for (const char* body : {"one", "fine", "two", "ok\n", "fine"}) EXPECT_EQ(client.read_response().body, body);
}

TEST(http1, asks_for_a_body_that_the_client_holds_back) {
  test_node node(app());
  test_connection client = test_client(node).connect();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_head().status, 100);
  client.send("body");
  EXPECT_EQ(client.read_response().body, "body");
  // Nobody reads it: no 100, and the connection cannot go on.
  client.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  const response answer = client.read_response();
  EXPECT_TRUE(answer.interim.empty());
  EXPECT_EQ(answer.header("Connection"), "close");
}

TEST(http1, gives_head_the_fields_without_the_body) {
  test_node node(app());
  const response head = test_client(node).request("HEAD", "/fine");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), "4");
  EXPECT_EQ(head.body, "");
}

TEST(http1, chunks_what_has_no_length_and_closes_for_those_who_know_no_chunks) {
  test_node node(app());
  const response chunked = test_client(node).get("/parts");
  EXPECT_EQ(chunked.header("Transfer-Encoding"), "chunked");
  EXPECT_EQ(chunked.body, "123");
  test_connection old = test_client(node).connect();
  old.send("GET /parts HTTP/1.0\r\n\r\n");
  const response whole = old.read_response();
  EXPECT_EQ(whole.header("Transfer-Encoding"), std::nullopt);
  EXPECT_EQ(whole.body, "123");
  test_connection oldest = test_client(node).connect();
  oldest.send("GET /fine\r\n");
  EXPECT_EQ(oldest.read_rest(), "fine");
}

TEST(http1, takes_absolute_targets_and_hosts_in_any_case) {
  test_node node(app());
  test_client client(node);
  EXPECT_EQ(client.raw("GET http://Other.Test:81/uri?a=b HTTP/1.1\r\nHost: ignored\r\n\r\n").body, "other.test /uri a=b\n");
  EXPECT_EQ(client.raw("GET //uri/./x/../%79?c HTTP/1.1\r\nHost: UPPER.test.\r\n\r\n").body, "upper.test /uri/y c\n");
}

TEST(http1, keeps_small_bodies_in_memory_and_large_ones_in_a_file) {
  test_node node(app("client_body_buffer_size 1k;"));
  test_client client(node);
  EXPECT_EQ(client.post("/file", std::string(1000, 'x')).body, "memory\n");
  EXPECT_EQ(client.post("/file", std::string(5000, 'x')).body, "5000\n");
  EXPECT_TRUE(node.logs("a client request body is buffered to a temporary file"));
  EXPECT_EQ(client.post("/", std::string(800, 'y')).body, std::string(800, 'y'));
}

TEST(http1, waits_for_a_client_that_reads_slowly) {
  test_node node(app());
  test_connection slow = test_client(node).connect();
  slow.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(test_client(node).get("/fine").body, "fine");  // Others are served meanwhile.
  EXPECT_EQ(slow.read_response().body.size(), 20000000u);
}

TEST(http1, lets_a_client_read_the_refusal_of_what_it_still_sends) {
  test_node node(app("client_max_body_size 1k;"));
  test_connection client = test_client(node).connect();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
  client.send_some(std::string(100000, 'x'));
  EXPECT_EQ(client.read_response().status, 413);
}

}  // namespace troupe::tests
