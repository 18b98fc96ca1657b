// SPDX-License-Identifier: Apache-2.0
//
// TCP cosockets and ngx.req.socket, against hand-made peers and real ones.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "net/socket.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"
#include "tests/support/real_peer.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/test_peer.hpp"

namespace troupe::tests {
namespace {

test_node_options with(const std::string& code, const std::string& more = {}) {
  return {.conf = "server { listen @port@; lua_socket_log_errors off; " + more +
                  " location = / { content_by_lua_block { " + code + " } } }"};
}

/// Lua that connects `sock` to this peer.
std::string connect_to(const endpoint& peer) {
  return "local sock = ngx.socket.tcp() assert(sock:connect('127.0.0.1', " +
         std::to_string(peer.port) + ")) ";
}

std::string answer(const std::string& code, const std::string& more = {}) {
  test_node node(with(code, more));
  return test_client(node).get("/").body;
}

}  // namespace

TEST(cosocket, reads_lines_sizes_up_to_patterns_and_to_the_end) {
  test_peer peer([](test_connection& with) { with.send("one\r\ntwo\n1234567--abcab--abcabd!rest"); });
  EXPECT_EQ(answer(connect_to(peer.address()) + R"(
      ngx.say(sock:receive())
      ngx.say(sock:receive("*l"))
      ngx.say(sock:receive(3))
      ngx.say(sock:receiveany(2))
      local read = sock:receiveuntil("abcabd")
      ngx.say(read(4)) ngx.say(read(4)) ngx.say(read(100)) ngx.say(tostring(read(4)))
      ngx.say(sock:receive(1))
      ngx.say(sock:receive("*a"))
      ngx.say(select(2, sock:receive())))"),
            "one\ntwo\n123\n45\n67--\nabca\nb--\nnil\n!\nrest\nclosed\n");
}

TEST(cosocket, gives_what_came_of_a_read_that_timed_out_or_was_cut_off) {
  test_peer slow([](test_connection& with) { with.send("part"); with.read_until("\n"); });
  test_peer cut([](test_connection& with) { with.send("part"); });
  EXPECT_EQ(answer(connect_to(slow.address()) + "sock:settimeout(20) local a, b, c = sock:receive(10) "
                   "ngx.say(a, b, c) sock:send('go\\n') ngx.say(select(2, sock:receive()))"),
            "niltimeoutpart\nclosed\n");
  EXPECT_EQ(answer(connect_to(cut.address()) + "local a, b, c = sock:receive(10) ngx.say(a, b, c)"),
            "nilclosedpart\n");
}

TEST(cosocket, says_what_is_wrong_with_a_connect) {
  const free_port nobody;
  EXPECT_EQ(answer("local sock = ngx.socket.tcp() "
                   "ngx.say(sock:connect('127.0.0.1', " + std::to_string(nobody.number()) + ")) "
                   "ngx.say(sock:connect('127.0.0.1')) ngx.say(sock:connect('127.0.0.1', 70000)) "
                   "ngx.say(sock:connect('name.invalid', 80)) ngx.say(sock:connect('unix:/nowhere')) "
                   "ngx.say(sock:send('x')) ngx.say(sock:receive()) ngx.say(sock:close())"),
            "nilconnection refused\nnilmissing the port number\nnilbad port number: 70000\n"
            "nilname.invalid could not be resolved (3: Host not found)\n"
            "nilno such file or directory\nnilclosed\nnilclosed\nnilclosed\n");
}

TEST(cosocket, resolves_names_as_the_system_does) {
  test_peer peer([](test_connection& with) { with.send("here\n"); });
  EXPECT_EQ(answer("local sock = ngx.socket.tcp() sock:connect('localhost', " +
                   std::to_string(peer.address().port) + ") ngx.say(sock:receive())"),
            "here\n");
}

TEST(cosocket, reads_in_one_thread_while_another_writes) {
  test_peer echo([](test_connection& with) {
    for (int i = 0; i < 3; ++i) with.send(with.read_until("\n"));
  });
  EXPECT_EQ(answer(connect_to(echo.address()) + R"(
      local reader = ngx.thread.spawn(function()
          local all = {} for i = 1, 3 do all[i] = sock:receive() end return table.concat(all, " ")
      end)
      ngx.say(select(2, sock:receive()))
      for i = 1, 3 do ngx.sleep(0.001) sock:send("line" .. i .. "\n") end
      ngx.say(select(2, ngx.thread.wait(reader))))"),
            "socket busy reading\nline1 line2 line3\n");
}

TEST(cosocket, waits_for_a_place_in_a_pool_with_a_backlog) {
  test_node node({.conf = R"(server { listen @port@;
      location /hi { return 200 "hi"; }
      location = / { content_by_lua_block {
          local function ask(n)
              local sock = ngx.socket.tcp()
              local ok, e = sock:connect("127.0.0.1", ngx.var.server_port, { pool = "p", pool_size = 1, backlog = 1 })
              if not ok then return e end
              sock:send("GET /hi HTTP/1.1\r\nHost: a\r\n\r\n")
              sock:receiveuntil("\r\n\r\n")()
              local body = sock:receive(2)
              local reused = sock:getreusedtimes()
              assert(sock:setkeepalive())
              return body .. reused
          end
          local a, b, c = ngx.thread.spawn(ask, 1), ngx.thread.spawn(ask, 2), ngx.thread.spawn(ask, 3)
          for _, t in ipairs{ a, b, c } do ngx.say(select(2, ngx.thread.wait(t))) end
          ngx.say(ask(4))
      } } })"});
  EXPECT_EQ(test_client(node).get("/").body, "hi0\nhi1\ntoo many waiting connect operations\nhi2\n");
}

// All who wait for a place get it, and nothing of it, from the same close.
TEST(cosocket, of_a_long_queue_that_fails_at_once_costs_no_stack) {
  test_peer peer([](test_connection& with) { (void)with.has_more(); });
  EXPECT_EQ(answer("local of = { pool = 'p', pool_size = 1, backlog = 100000 } "
                   "local first = ngx.socket.tcp() assert(first:connect('127.0.0.1', " +
                   std::to_string(peer.address().port) + R"(, of))
      local all, failed = {}, 0
      for i = 1, 20000 do
        all[i] = ngx.thread.spawn(function()
          return select(2, ngx.socket.tcp():connect("unix:/nowhere/at/all", of)) end)
      end
      first:close()
      for i = 1, #all do
        local _, err = ngx.thread.wait(all[i])
        if err == "no such file or directory" then failed = failed + 1 end
      end
      ngx.print(failed))"),
            "20000");
}

TEST(cosocket, is_closed_with_its_request_and_refuses_others) {
  test_peer peer([](test_connection& with) { with.read_until("\n"); });
  test_node node({.conf = "init_by_lua_block { kept = {} } server { listen @port@; location /keep { content_by_lua_block { " +
                          connect_to(peer.address()) + " kept.sock = sock ngx.say('kept') } }"
                          " location /use { content_by_lua_block { ngx.say(kept.sock:send('x')) } } }"});
  test_client client(node);
  EXPECT_EQ(client.get("/keep").body, "kept\n");
  EXPECT_EQ(client.get("/use").body, "nilclosed\n");
}

TEST(cosocket, raises_where_it_cannot_wait_and_leaves_nothing_behind) {
  test_peer peer([](test_connection& with) { with.read_until("\n"); });
  EXPECT_EQ(answer("local ok, e = pcall(string.gsub, 'x', 'x', function() " + connect_to(peer.address()) +
                   " sock:receive() end) ngx.say((e:gsub('^.-: ', '')))"),
            "attempt to yield across C-call boundary\n");
}

TEST(cosocket, speaks_tls_and_verifies) {
  const temp_dir folder;
  const std::string key = (folder.path() / "key.pem").string();
  const std::string certificate = (folder.path() / "cert.pem").string();
  ASSERT_EQ(run({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                 "/CN=stage.test", "-addext", "subjectAltName=DNS:stage.test", "-keyout", key, "-out",
                 certificate})
                .status,
            0);
  const real_peer server([&](const std::string& port) {
    return std::vector<std::string>{"openssl", "s_server", "-quiet", "-www", "-accept", port,
                                    "-key",    key,        "-cert",  certificate};
  });
  const std::string connect = connect_to(server.address());
  EXPECT_EQ(answer(connect + R"(
      local session = sock:sslhandshake(nil, "stage.test")
      ngx.say(type(session))
      sock:send("GET / HTTP/1.0\r\n\r\n")
      ngx.say(sock:receive()))"),
            "cdata\nHTTP/1.0 200 ok\n");
  EXPECT_EQ(answer(connect + "ngx.say(sock:sslhandshake(false, 'stage.test', true))"),
            "nil18: self-signed certificate\n");
  const std::string trusted = "lua_ssl_trusted_certificate " + certificate + ";";
  EXPECT_EQ(answer(connect + "ngx.say(sock:sslhandshake(false, 'stage.test', true))", trusted), "true\n");
  EXPECT_EQ(answer(connect + "ngx.say(sock:sslhandshake(false, 'other.test', true))", trusted),
            "nilcertificate host mismatch\n");
}

TEST(cosocket, refuses_a_configuration_of_tls_that_cannot_be) {
  test_node node({.conf = "server { listen @port@; lua_ssl_trusted_certificate absent.pem; }", .starts = false});
  EXPECT_NE(node.wait(), 0);
  EXPECT_NE(node.log().find("absent.pem"), std::string::npos) << node.log();
}

TEST(cosocket, certificates_lie_beside_the_configuration_file) {
  const temp_dir app;
  app.write("conf/nginx.conf", "events {} http { lua_ssl_trusted_certificate absent.pem; server { listen 0; } }");
  test_node node({.app = app.path(), .starts = false});
  EXPECT_NE(node.wait(), 0);
  EXPECT_NE(node.log().find("conf/absent.pem"), std::string::npos) << node.log();
}

TEST(request_socket, reads_the_body_and_no_more) {
  test_node node(with(R"(
      local sock, e = ngx.req.socket()
      if not sock then return ngx.say(e) end
      ngx.say(sock:receive(3), " ", sock:receive("*l"))
      ngx.say(sock:receive(100)))"));
  test_client client(node);
  EXPECT_EQ(client.post("/", "abcdef\nrest").body, "abc def\nnilclosedrest\n");
  EXPECT_EQ(client.get("/").body, "no body\n");
  EXPECT_EQ(client.post("/", "abcdef\nrest").status, 200);
}

TEST(request_socket, takes_the_whole_connection) {
  test_node node(with(R"(
      local sock = ngx.req.socket(true)
      sock:send("HTTP/1.1 101 Now raw\r\n\r\n")
      ngx.log(ngx.WARN, "say: ", select(2, ngx.say("x")))
      for i = 1, 2 do sock:send(sock:receive() .. "!\n") end)"));
  test_connection raw = test_client(node).connect();
  raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\none\n");
  EXPECT_EQ(raw.read_until("\n"), "HTTP/1.1 101 Now raw\r\n");
  EXPECT_EQ(raw.read_until("\n"), "\r\n");
  EXPECT_EQ(raw.read_until("\n"), "one!\n");
  raw.send("two\n");
  EXPECT_EQ(raw.read_until("\n"), "two!\n");
  EXPECT_TRUE(node.logs("say: raw request socket acquired"));
}

TEST(libraries, of_debian_talk_to_redis_and_memcached) {
  const real_peer redis([](const std::string& port) {
    return std::vector<std::string>{"redis-server", "--port", port, "--save", "", "--bind", "127.0.0.1"};
  });
  const real_peer memcached([](const std::string& port) {
    return std::vector<std::string>{"memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", port, "-U", "0"};
  });
  EXPECT_EQ(answer(R"(
      local redis = require "resty.redis"
      for i = 0, 2 do
          local red = redis:new()
          assert(red:connect("127.0.0.1", )" + std::to_string(redis.address().port) + R"())
          red:set("n", i)
          ngx.say(red:get("n"), " ", red:get_reused_times())
          assert(red:set_keepalive(10000, 10))
      end
      local store = assert(require("resty.memcached"):new())
      assert(store:connect("127.0.0.1", )" + std::to_string(memcached.address().port) + R"())
      store:set("k", "v")
      ngx.say((store:get("k"))))"),
            "0 0\n1 1\n2 2\nv\n");
}

// Its sender is faster than its reader, whom nothing would stop.
TEST(cosocket, that_is_flooded_leaves_its_shard_free) {
  std::atomic<bool> ends = false;
  test_peer flood([&](test_connection& with) {
    const std::string much(1 << 20, 'x');
    while (!ends && with.send(much)) {}
  });
  test_node node({.shards = 1, .conf = "server { listen @port@; location = /ok { return 200 ok; } location / { content_by_lua_block { "
                          "local sock = ngx.socket.tcp() sock:connect('127.0.0.1', " +
                          std::to_string(flood.address().port) +
                          ") sock:settimeout(1000) local taken = 0 "
                          "for _ = 1, 3000 do local part = sock:receive(4 * 1024 * 1024) "
                          "if not part then break end taken = taken + #part end "
                          "ngx.print(taken) } } }"});
  auto reads = test_client(node).start("GET /");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(test_client(node).get("/ok").body, "ok");
  EXPECT_FALSE(reads.has_begun());
  ends = true;
  EXPECT_EQ(node.stop(), 0);
}

TEST(cosocket, finds_ends_that_arrive_in_pieces) {
  test_peer peer([](test_connection& with) {
    const std::string sent = "first\r\naab-aab-aaab-end--END-tail";
    for (const char byte : sent) with.send(std::string(1, byte));
  });
  EXPECT_EQ(answer(connect_to(peer.address()) + R"(
      ngx.say(sock:receive()) ngx.say(sock:receiveuntil("aaab")()) ngx.say(sock:receiveuntil("--END")())
      ngx.say(sock:receive("*a")))"),
            "first\naab-aab-\n-end\n-tail\n");
}

}  // namespace troupe::tests
