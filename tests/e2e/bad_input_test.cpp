// SPDX-License-Identifier: Apache-2.0
//
// What clients do wrong, by mistake or not: the right status or a closed connection, and others go
// on.
//
// Source   RFC 9112 sections 3, 5, 6, 7 and 11.2.
#include <gtest/gtest.h>

#include <thread>

#include <fstream>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

test_node_options app(const std::string& more = {}) {
  return {.conf = "server { listen @port@; " + more + R"(
      location / { content_by_lua_block { ngx.req.read_body() ngx.print(ngx.req.get_body_data()) } }
      location /fine { return 200 "fine"; }
      location /wait { content_by_lua_block { ngx.say(("x"):rep(100000)) ngx.flush(true) ngx.sleep(30) } }
  })"};
}

const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";

std::size_t resident_kb(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  while (in >> word) {
    if (word == "VmRSS:") {
      std::size_t kb = 0;
      in >> kb;
      return kb;
    }
  }
  return 0;
}

}  // namespace

TEST(bad_input, of_a_head_is_answered_with_its_status_and_the_connection_closed) {
  test_node node(app());
  const std::pair<std::string, int> cases[] = {
      {"rubbish\r\n\r\n", 400},
      {"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\n\r\n", 400},                                        // no Host
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},                  // two
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},                            // space before the colon
      {"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
      {std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 35), 400},
      {std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28), 400},
      {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {post + "Content-Length: -1\r\n\r\n", 400},
      {post + "Content-Length: 1 2\r\n\r\n", 400},
      {post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
      {post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {post + "Transfer-Encoding: gzip\r\n\r\n", 501},
      {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"GET /" + std::string(10000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(10000, 'a') + "\r\n\r\n", 400},
      {"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
  };
  for (const auto& [bytes, status] : cases) {
    test_connection client = test_client(node).connect();
    client.send(bytes);
    const response answer = client.read_response();
    EXPECT_EQ(answer.status, status) << bytes.substr(0, 80);
    if (status != 405) {
      EXPECT_TRUE(client.is_closed_by_peer()) << bytes.substr(0, 80);
    }
  }
  EXPECT_EQ(test_client(node).get("/fine").body, "fine");
}

TEST(bad_input, of_a_chunked_body_is_400) {
  test_node node(app());
  for (const std::string chunks : {"xyz\r\nabc\r\n0\r\n\r\n", "-1\r\na\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n",
                                   "3\r\nabcd\r\n0\r\n\r\n", "3\r\nabc\n0\r\n\r\n",
                                   "ffffffffffffffff\r\nabc", "10000000000000000\r\nabc"}) {
    test_connection client = test_client(node).connect();
    client.send(post + "Transfer-Encoding: chunked\r\n\r\n" + chunks);
    const int status = client.read_response().status;
    EXPECT_TRUE(status == 400 || status == 413) << chunks << " " << status;
    EXPECT_TRUE(client.is_closed_by_peer()) << chunks;
  }
  EXPECT_EQ(test_client(node).get("/fine").body, "fine");
}

TEST(bad_input, ten_thousand_fields_are_refused_in_bounded_memory) {
  test_node node(app());
  test_client(node).get("/fine");
  const std::size_t before = resident_kb(node.pid());
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 10000; ++i) head += "X-" + std::to_string(i) + ": y\r\n";
  for (int i = 0; i < 20; ++i) {
    test_connection client = test_client(node).connect();
    client.send(head + "\r\n");
    EXPECT_EQ(client.read_response().status, 400);
  }
  EXPECT_LT(resident_kb(node.pid()), before + 20000);
}

TEST(bad_input, pipelined_after_a_good_request_does_not_spoil_it) {
  test_node node(app());
  test_connection client = test_client(node).connect();
  client.send("GET /fine HTTP/1.1\r\nHost: a\r\n\r\n\x01\x02garbage\r\n\r\nGET /fine HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.read_response().body, "fine");
  EXPECT_EQ(client.read_response().status, 400);
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST(bad_input, a_byte_at_a_time_is_a_request_like_others) {
  test_node node(app());
  test_connection client = test_client(node).connect();
  for (const char c : post + "Content-Length: 4\r\n\r\nbody") client.send({&c, 1});
  EXPECT_EQ(client.read_response().body, "body");
  for (const char c : post + "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nbod\r\n1\r\ny\r\n0\r\nT: t\r\n\r\n") {
    client.send({&c, 1});
  }
  EXPECT_EQ(client.read_response().body, "body");
}

TEST(bad_input, who_says_nothing_is_closed_after_the_time_out) {
  test_node node(app("access_log logs/access.log; client_header_timeout 50ms; client_body_timeout 50ms; keepalive_timeout 50ms;"));
  test_connection silent = test_client(node).connect();
  EXPECT_TRUE(silent.is_closed_by_peer());
  test_connection half = test_client(node).connect();
  half.send("GET / HTT");
  EXPECT_TRUE(half.is_closed_by_peer());
  test_connection body = test_client(node).connect();
  body.send(post + "Content-Length: 10\r\n\r\nabc");
  EXPECT_TRUE(body.is_closed_by_peer());
  test_connection idle = test_client(node).connect();
  idle.send("GET /fine HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(idle.read_response().body, "fine");
  EXPECT_TRUE(idle.is_closed_by_peer());
  EXPECT_EQ(node.stop(), 0);
  std::ifstream log(node.folder() / "logs/access.log");
  const std::string lines{std::istreambuf_iterator<char>(log), {}};
  EXPECT_NE(lines.find("\" 408 0 "), lines.rfind("\" 408 0 ")) << lines;  // There are two.
  EXPECT_NE(lines.find("\"POST / HTTP/1.1\" 408 0"), std::string::npos) << lines;
}

TEST(bad_input, too_large_a_body_is_413) {
  test_node node(app("client_max_body_size 10;"));
  test_client client(node);
  EXPECT_EQ(client.post("/", "0123456789").status, 200);
  EXPECT_EQ(client.post("/", "0123456789a").status, 413);
  test_connection chunked = test_client(node).connect();
  chunked.send(post + "Transfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n9\r\n123456789\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.read_response().status, 413);
}

TEST(bad_input, clients_that_vanish_in_any_phase_disturb_nobody) {
  std::string phases;
  for (const char* phase : {"rewrite", "access", "precontent", "content", "header_filter", "body_filter", "log"}) {
    phases += std::string("location /") + phase + " { " + phase + "_by_lua_block { ngx.sleep(0.02) } " +
              (std::string(phase) == "content" ? "" : "echo x;") + " }\n";
  }
  test_node node(app("lua_check_client_abort on; " + phases));
  for (int round = 0; round < 3; ++round) {
    for (const char* path : {"/rewrite", "/access", "/precontent", "/content", "/header_filter",
                             "/body_filter", "/log", "/wait"}) {
      test_connection gone = test_client(node).connect();
      gone.send(std::string("GET ") + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
      if (round == 1) gone.finish_sending();
      if (round == 2) gone.reset();
    }
    test_connection half = test_client(node).connect();
    half.send(post + "Content-Length: 100\r\n\r\npart");
    half.reset();
  }
  EXPECT_EQ(test_client(node).get("/fine").body, "fine");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log().find("[alert]"), std::string::npos) << node.log();
}

TEST(bad_input, errors_of_lua_in_every_phase_end_their_request_alone) {
  const std::pair<const char*, int> phases[] = {{"rewrite", 500}, {"access", 500}, {"precontent", 500},
                                                {"content", 500}, {"log", 200}};
  std::string locations = "location /set { set_by_lua_block $x { error('in set') } echo x; }\n"
                          "location /header_filter { header_filter_by_lua_block { error('in header_filter') } echo x; }\n"
                          "location /body_filter { body_filter_by_lua_block { error('in body_filter') } echo x; }\n";
  for (const auto& [phase, status] : phases) {
    locations += std::string("location /") + phase + " { " + phase + "_by_lua_block { error('in " + phase +
                 "') } " + (std::string(phase) == "content" ? "" : "echo x;") + " }\n";
  }
  test_node node(app(locations));
  for (const auto& [phase, status] : phases) {
    EXPECT_EQ(test_client(node).get(std::string("/") + phase).status, status) << phase;
    EXPECT_TRUE(node.logs(std::string("in ") + phase));
  }
  EXPECT_EQ(test_client(node).get("/set").status, 500);
  for (const char* path : {"/header_filter", "/body_filter"}) {
    test_connection client = test_client(node).connect();
    client.send(std::string("GET ") + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_rest();  // Cut off, not answered.
    EXPECT_TRUE(node.logs(std::string("failed to run ") + (path + 1) + "_by_lua*"));
  }
  EXPECT_EQ(test_client(node).get("/fine").body, "fine");
}

TEST(bad_input, a_configuration_that_is_wrong_starts_nothing) {
  const std::pair<const char*, const char*> cases[] = {
      {"server { listen @port@; locaton / { } }", "unknown directive \"locaton\""},
      {"server { listen @port@; location / { content_by_lua_block { x = = 1 } } }", "unexpected symbol"},
      {"server { listen @port@; root; }", "invalid number of arguments in \"root\" directive"},
      {"init_by_lua_block { error('no') } server { listen @port@; }", "init_by_lua error"},
      {"init_worker_by_lua_block { error('no') } server { listen @port@; }", "init_worker_by_lua error"},
      {"server { listen @port@; location ~ ( { } }", "pcre"},
      {"server { listen @port@; location / {", "unexpected end of file"},
  };
  for (const auto& [conf, text] : cases) {
    test_node node({.conf = conf, .starts = false});
    EXPECT_NE(node.wait(), 0) << conf;
    EXPECT_NE(node.log().find(text), std::string::npos) << conf << "\n" << node.log();
    EXPECT_NE(node.log().find("nginx.conf:"), std::string::npos) << node.log();
  }
}

TEST(bad_input, a_body_that_cannot_be_stored_is_500_and_logged) {
  test_node node(app("client_body_buffer_size 1k; client_body_temp_path /proc/none;"));
  EXPECT_EQ(test_client(node).post("/", std::string(5000, 'x')).status, 500);
  EXPECT_TRUE(node.logs("cannot write the request body to a temporary file in \"/proc/none\""));
  EXPECT_EQ(test_client(node).get("/fine").body, "fine");
}

TEST(bad_input, a_full_disk_under_the_logs_does_not_stop_the_service) {
  test_node node({.conf = "access_log /dev/full; server { listen @port@; return 200 'ok'; }"});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(test_client(node).get("/").body, "ok");
}

TEST(bad_input, what_follows_a_broken_body_is_no_request) {
  test_node node({.conf = R"(server { listen @port@; location = /hello { return 200 "hello"; }
      location / { content_by_lua_block { ngx.say("x") ngx.flush(true) ngx.req.read_body() } } })"});
  test_connection client = test_client(node).connect();
  client.send(post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.read_rest().find("hello"), std::string::npos);
}

TEST(bad_input, a_large_body_is_refused_whatever_was_rewritten) {
  test_node node({.conf = R"(server { listen @port@; client_max_body_size 10; error_page 413 /big;
      rewrite ^/app/(.*)$ /in/$1 last;
      location /big { content_by_lua_block { ngx.req.read_body() ngx.print(tostring(ngx.req.get_body_data())) } }
      location / { content_by_lua_block { ngx.req.read_body() ngx.print("read") } } })"});
  const response refused = test_client(node).post("/app/x", "0123456789abcdef");
  EXPECT_EQ(refused.status, 413);
  EXPECT_EQ(refused.body, "nil");
}

TEST(bad_input, a_long_pipeline_of_refusals_needs_no_stack) {
  test_node node({.conf = R"(keepalive_requests 1000000; access_log off; server { listen @port@;
      location /hidden { internal; return 200 "no"; } location = /end { return 200 "end"; } })"});
  std::string requests;
  for (int i = 0; i < 30000; ++i) requests += "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
  test_connection client = test_client(node).connect();
  std::thread writer([&] { client.send(requests + "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); });
  const std::string all = client.read_rest();
  writer.join();
  EXPECT_TRUE(all.ends_with("end")) << all.size();
  EXPECT_EQ(node.stop(), 0);
}

TEST(bad_input, clients_that_leave_in_the_middle_of_a_large_response_leave_nothing) {
  test_node node({.conf = R"(lua_check_client_abort on; server { listen @port@;
      location / { content_by_lua_block { ngx.print(("x"):rep(20000000)) } } })"});
  for (int i = 0; i < 10; ++i) {
    test_connection client = test_client(node).connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_exactly(1000);
    client.close();
  }
  EXPECT_EQ(node.stop(), 0);  // A graceful stop waits for every connection.
}

}  // namespace troupe::tests
