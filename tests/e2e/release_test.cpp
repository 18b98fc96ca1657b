// SPDX-License-Identifier: Apache-2.0
//
// Releases: what goes on, what changes and what is refused when a configuration takes another's place.
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <regex>
#include <thread>

namespace troupe::tests {
namespace {

/// A node whose configuration is edited and swapped in.
class edited : public test_node {
 public:
  explicit edited(test_node_options options)
      : test_node(std::move(options)), first_(read_file(folder() / "nginx.conf")) {}

  /// `from` into `to` in the configuration as it was first, then HUP.
  void change(const std::string& from, const std::string& to) {
    std::string text = first_;
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    std::ofstream(folder() / "nginx.conf") << text;
    signal(SIGHUP);
  }
  /// The same, and waits until it serves.
  void swap(const std::string& from, const std::string& to) {
    const auto before = served();
    change(from, to);
    while (served() == before) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  [[nodiscard]] std::size_t served() const { return count(" serves, loaded in "); }
  [[nodiscard]] std::size_t count(const std::string& what) const {
    const std::string text = log();
    std::size_t n = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
    return n;
  }

 private:
  std::string first_;
};

/// A WebSocket, bare: what it says comes back with the release that it belongs to.
constexpr const char* echo_socket = R"(
  local server = require "resty.websocket.server"
  local ws = assert(server:new { timeout = 60000 })
  while true do
    local text, kind = ws:recv_frame()
    if not text or kind == "close" then return end
    ws:send_text(release .. text .. tostring(ngx.worker.exiting()))
  end)";

class web_socket {
 public:
  explicit web_socket(const test_node& node, const std::string& path = "/ws")
      : wire_(test_client(node).connect()) {
    wire_.send("GET " + path +
               " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    EXPECT_EQ(wire_.read_until("\r\n\r\n").substr(0, 12), "HTTP/1.1 101");
  }
  std::string ask(const std::string& text) {
    wire_.send(std::string("\x81") + static_cast<char>(0x80 | text.size()) + std::string(4, '\0') + text);
    const std::string head = wire_.read_exactly(2);
    return head.size() < 2 ? "closed" : wire_.read_exactly(static_cast<unsigned char>(head[1]) & 0x7f);
  }
  test_connection& wire() { return wire_; }

 private:
  test_connection wire_;
};

std::string conf(const std::string& more = {}) {
  return R"(init_by_lua_block { release = "first" }
    lua_shared_dict data 100k;
    server { listen @port@;
      location = / { content_by_lua_block { ngx.print(release) } }
      location = /ws { content_by_lua_block { )" + std::string(echo_socket) + R"( } }
      location = /stream { content_by_lua_block {
        ngx.print("begin ") ngx.flush(true)
        while not ngx.shared.data:get("go") do ngx.sleep(0.002) end
        ngx.print(release, " end") } }
      location = /go { content_by_lua_block { ngx.shared.data:set("go", true) } }
      location = /get { content_by_lua_block { ngx.print(tostring(ngx.shared.data:get(ngx.var.arg_k))) } }
      location = /set { content_by_lua_block { ngx.print(tostring(ngx.shared.data:set(ngx.var.arg_k, ngx.var.arg_v))) } }
      )" + more + "}";
}

}  // namespace

TEST(release, has_the_environment_of_its_configuration) {
  edited node({.conf = "server { listen @port@; location / { content_by_lua_block {"
                       " ngx.say(os.getenv('FOO'), ' ', os.getenv('PATH') ~= nil, ' ',"
                       " os.getenv('HOME')) } } }",
               .main = "env FOO=old; env PATH;"});
  EXPECT_EQ(test_client(node).get("/").body, "old true nil\n");
  node.swap("env FOO=old; env PATH;", "env FOO=new;");
  EXPECT_EQ(test_client(node).get("/").body, "new false nil\n");
  node.swap("env FOO=old; env PATH;", "env HOME=/nowhere;");
  EXPECT_EQ(test_client(node).get("/").body, "nil false /nowhere\n");
}

TEST(release, takes_anothers_place_while_what_is_open_goes_on) {
  edited node({.shards = 2, .conf = conf()});
  web_socket socket(node);
  EXPECT_EQ(socket.ask("a"), "firstafalse");
  test_connection stream = test_client(node).connect();
  stream.send("GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_NE(stream.read_until("begin ").find("200 OK"), std::string::npos);
  test_client kept(node);
  EXPECT_EQ(kept.get("/").body, "first");
  for (int i = 0; i < 50; ++i) {
    const std::string name = "n" + std::to_string(i);
    node.swap("\"first\"", '"' + name + '"');
    EXPECT_EQ(kept.get("/").body, name);
    EXPECT_EQ(socket.ask("b").substr(0, 6), "firstb");
  }
  kept.get("/go");
  EXPECT_NE(stream.read_rest().find("first end"), std::string::npos);
  socket.wire().close();
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(release, is_seen_whole_by_each_request_under_load) {
  edited node({.shards = 2,
               .conf = R"(init_by_lua_block { release = "first" }
    server { listen @port@;
      location = / { set $one first; rewrite_by_lua_block { ngx.ctx.two = release ngx.sleep(0.001) }
        content_by_lua_block { ngx.print(ngx.var.one, ngx.ctx.two, release) } } })"});
  std::string text = read_file(node.folder() / "nginx.conf");
  const std::string other = std::regex_replace(text, std::regex("first"), "other");
  std::atomic<bool> ends{false};
  std::atomic<int> wrong{0};
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      test_client client(node);
      while (!ends) {
        const response r = client.get("/");
        const bool is_whole = r.body == "firstfirstfirst" || r.body == "otherotherother";
        ++(r.status == 200 && is_whole ? good : wrong);
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    const auto before = node.served();
    std::ofstream(node.folder() / "nginx.conf") << (i % 2 == 0 ? other : text);
    node.signal(SIGHUP);
    while (node.served() == before) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ends = true;
  for (auto& each : clients) each.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(good, 100);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(release, opens_and_closes_listeners_and_leaves_the_others_alone) {
  edited node({.shards = 2, .conf = R"(
    server { listen @port@; return 200 one; }
    server { listen @port2@; return 200 two; })", .as_nginx = true});
  test_connection kept = test_client(node).connect();
  kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(kept.read_response().body, "one");
  const std::string second = "server { listen " + std::to_string(node.port(1)) + "; return 200 two; }";
  const auto there = node.listener(1);
  const free_port fresh;
  node.swap(second, "server { listen " + std::to_string(fresh.number()) + "; return 200 three; }");
  EXPECT_EQ(test_client(endpoint{there.host, fresh.number()}).get("/").body, "three");
  kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(kept.read_response().body, "one");
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(there.port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_NE(::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  ::close(socket);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(release, keeps_what_a_dictionary_holds_when_its_size_changes) {
  edited node({.conf = conf()});
  test_client client(node);
  EXPECT_EQ(client.get("/set?k=a&v=1").body, "true");
  node.swap("lua_shared_dict data 100k", "lua_shared_dict data 2m");
  EXPECT_EQ(client.get("/get?k=a").body, "1");
  EXPECT_EQ(client.get("/set?k=b&v=2").body, "true");
  node.swap("lua_shared_dict data 100k", "lua_shared_dict data 20k");
  EXPECT_EQ(client.get("/get?k=a").body, "1");
  EXPECT_EQ(client.get("/get?k=b").body, "2");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(release, runs_the_timers_of_the_one_before_prematurely) {
  edited node({.conf = R"(init_by_lua_block { release = "first" }
    init_worker_by_lua_block {
      ngx.timer.every(3600, function(premature)
        ngx.log(ngx.NOTICE, release, " premature=", tostring(premature), " exiting=", tostring(ngx.worker.exiting()))
      end) }
    server { listen @port@; return 200 a; })"});
  node.swap("\"first\"", "\"second\"");
  EXPECT_TRUE(node.logs("first premature=true exiting=true"));
  EXPECT_EQ(node.count("second premature"), 0u);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_TRUE(node.logs("second premature=true exiting=true"));
}

TEST(release, is_asked_to_end_when_too_many_live_and_its_requests_know) {
  edited node({.conf = conf()});
  std::vector<std::unique_ptr<web_socket>> sockets;
  for (const char* name : {"second", "third", "fourth"}) {
    sockets.push_back(std::make_unique<web_socket>(node));
    EXPECT_EQ(sockets.front()->ask("a"), "firstafalse");
    node.swap("\"first\"", '"' + std::string(name) + '"');
  }
  EXPECT_EQ(sockets[0]->ask("b"), "firstbtrue");
  EXPECT_EQ(sockets[1]->ask("b"), "secondbfalse");
  EXPECT_EQ(sockets[2]->ask("b"), "thirdbfalse");
  sockets.clear();
  EXPECT_EQ(node.stop(), 0);
}

TEST(release, is_ended_after_a_time_when_too_many_live) {
  edited node({.conf = conf(
    "location = /silent { content_by_lua_block { ngx.sleep(100) } }"
    "location = /kept { on_release keep; content_by_lua_block {" + std::string(echo_socket) + "} }"),
    .main = "max_live_releases 1; drain_timeout 20ms;"});
  web_socket ended(node);
  web_socket kept(node, "/kept");
  EXPECT_EQ(ended.ask("a"), "firstafalse");
  EXPECT_EQ(kept.ask("a"), "firstafalse");
  auto silent = test_client(node).start("GET /silent");
  auto streaming = test_client(node).connect();
  streaming.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  streaming.read_until("begin ");
  node.swap("\"first\"", "\"second\"");
  EXPECT_EQ(ended.wire().read_rest(), "\x88\x02\x03\xe9");  // Going away.
  ended.wire().close();
  EXPECT_EQ(streaming.read_rest().find("0\r\n\r\n"), std::string::npos);  // It is not whole.
  streaming.close();
  const response refused = silent.response();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Connection"), "close");
  EXPECT_EQ(kept.ask("b"), "firstbfalse");
  EXPECT_EQ(test_client(node).get("/").body, "second");
  kept.wire().close();
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(release, drains_a_location_that_wants_it_and_no_other) {
  edited node({.conf = conf("location = /drained { on_release drain 20ms; content_by_lua_block {" +
                            std::string(echo_socket) + "} }")});
  web_socket stays(node);
  web_socket ended(node, "/drained");
  EXPECT_EQ(ended.ask("a"), "firstafalse");
  EXPECT_EQ(stays.ask("a"), "firstafalse");
  node.swap("\"first\"", "\"second\"");
  EXPECT_EQ(ended.wire().read_rest(), "\x88\x02\x03\xe9");
  ended.wire().close();
  EXPECT_EQ(stays.ask("b"), "firstbfalse");
  stays.wire().close();
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(release, leaves_pooled_connections_to_the_next_one) {
  edited node({.conf = R"(server { listen @port@;
      location = /hi { return 200 "hi"; }
      location = / { content_by_lua_block {
        local release = "first"
        local sock = ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", ngx.var.server_port))
        sock:send("GET /hi HTTP/1.1\r\nHost: a\r\n\r\n")
        sock:receiveuntil("\r\n\r\n")()
        sock:receive(2)
        local reused = sock:getreusedtimes()
        assert(sock:setkeepalive())
        ngx.print(release, " ", reused) } } })"});
  EXPECT_EQ(test_client(node).get("/").body, "first 0");
  node.swap("\"first\"", "\"next\"");
  EXPECT_EQ(test_client(node).get("/").body, "next 1");
  EXPECT_EQ(node.stop(), 0);
}

TEST(release, ends_a_request_where_it_began_and_begins_the_next_one_anew) {
  edited node({.conf = R"(init_by_lua_block { release = "first" }
    lua_shared_dict data 100k;
    server { listen @port@; on_release next_request;
      location = / { content_by_lua_block { ngx.print(release) } }
      location = /go { content_by_lua_block { ngx.shared.data:set("go", true) } }
      location = /slow { content_by_lua_block {
        ngx.print("begun") ngx.flush(true)
        while not ngx.shared.data:get("go") do ngx.sleep(0.001) end
        ngx.print("ended by ", release, "\n") } } })"});
  test_connection kept = test_client(node).connect();
  kept.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  kept.read_until("begun");
  node.swap("\"first\"", "\"next\"");
  EXPECT_EQ(test_client(node).get("/").body, "next");
  test_client(node).get("/go");
  EXPECT_NE(kept.read_until("0\r\n\r\n").find("ended by first"), std::string::npos);
  kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(kept.read_response().body, "next");
  EXPECT_EQ(node.stop(), 0);
}

TEST(release, that_cannot_work_is_refused_with_its_place_while_the_old_one_serves) {
  edited node({.shards = 2, .conf = "lua_init_timeout 200ms; " + conf(), .as_nginx = true});
  test_client client(node);
  const free_port taken;
  test_connection other_listener(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(taken.number());
  where.sin_addr.s_addr = htonl(INADDR_ANY);
  ASSERT_EQ(::bind(other_listener.socket(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  ASSERT_EQ(::listen(other_listener.socket(), 1), 0);
  const std::pair<std::string, std::string> broken[] = {
      {"release = \"first\" }\n sever {}", "unknown directive \"sever\""},
      {"x = = 1 }", "unexpected symbol near '='"},
      {"require 'nowhere' }", "module 'nowhere' not found"},
      {"error('thrown') }", "init_by_lua error: init_by_lua(nginx.conf:"},
      {"ngx.sleep(1000) }", "it has not ended within 200 ms (lua_init_timeout)"},
      {"while true do end }", "it has not ended within 200 ms (lua_init_timeout)"},
      {"while true do pcall(function() while true do end end) end }",
       "it has not ended within 200 ms (lua_init_timeout)"},
      {"a = 1 }\n init_worker_by_lua_block { error('worker') }", "init_worker_by_lua error: "},
      {"a = 1 }\n init_worker_by_lua_block { ngx.sleep(1000) }", "init_worker_by_lua error: it has not ended"},
      {"a = 1 }\n server { listen " + std::to_string(taken.number()) + "; }",
       "Address already in use"},
  };
  for (const auto& [code, says] : broken) {
    SCOPED_TRACE(code);
    const auto before = node.count("[emerg]");
    node.change("release = \"first\" }", code);
    while (node.count("[emerg]") == before) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto lines = node.log_lines(level::emerg);
    ASSERT_FALSE(lines.empty());
    EXPECT_NE(lines.back().find(says), std::string::npos) << lines.back();
    EXPECT_NE(lines.back().find("nginx.conf:"), std::string::npos) << lines.back();
    EXPECT_EQ(client.get("/").body, "first");
  }
  node.swap("\"first\"", "\"good again\"");
  EXPECT_EQ(client.get("/").body, "good again");
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
