// SPDX-License-Identifier: Apache-2.0
//
// What TCP cosockets say when something is wrong: with the arguments, with the peer, with the moment.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "net/socket.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/test_peer.hpp"

namespace troupe::tests {
namespace {

test_node_options with(const std::string& code, const std::string& more = {}) {
  return {.conf = "server { listen @port@; lua_socket_log_errors off; " + more +
                  " location = / { content_by_lua_block { " + code + " } } }"};
}

/// What the code says; the node then leaves with 0 and has logged nothing unexpected.
std::string answer(const std::string& code, const std::string& more = {}) {
  test_node node(with(code, more));
  const std::string body = test_client(node).get("/").body;
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
  return body;
}

std::string connect_to(const test_peer& peer) {
  return "local sock = ngx.socket.tcp() assert(sock:connect('127.0.0.1', " +
         std::to_string(peer.address().port) + ")) ";
}

/// Lua: what a call raises, without its place; what it returns beside nil.
const std::string says = R"(
  local function raises(f, ...)
      local ok, e = pcall(f, ...)
      ngx.say(ok and "nothing raised" or (e:gsub("^[^ ]*:%d+: ", "")))
  end
  local function says(...) ngx.say(tostring((...)), " ", tostring((select(2, ...)))) end )";

/// A listener that never accepts. Either its queue is full, or it takes some connections, which nobody
/// reads then.
class deaf_listener {
public:
  explicit deaf_listener(int family, const std::string& path = {}, bool is_full = true) {
    listener_.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (family == AF_UNIX) {
      auto& un = reinterpret_cast<sockaddr_un&>(at_);
      un.sun_family = AF_UNIX;
      std::strncpy(un.sun_path, path.c_str(), sizeof un.sun_path - 1);
      size_ = sizeof un;
    } else {
      auto& in = reinterpret_cast<sockaddr_in&>(at_);
      in.sin_family = AF_INET;
      in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      size_ = sizeof in;
    }
    ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&at_), size_);
    ::listen(listener_.get(), is_full ? 0 : 16);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&at_), &size_);
    if (!is_full) return;
    for (net::unique_fd& one : held_) {
      one.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      ::connect(one.get(), reinterpret_cast<sockaddr*>(&at_), size_);
    }
  }
  [[nodiscard]] std::string port() const {
    return std::to_string(ntohs(reinterpret_cast<const sockaddr_in&>(at_).sin_port));
  }

private:
  net::unique_fd listener_;
  sockaddr_storage at_{};
  socklen_t size_ = 0;
  net::unique_fd held_[8];
};

}  // namespace

TEST(cosocket_errors, of_arguments_are_raised_before_anything_is_done) {
  test_peer peer([](test_connection& with) { with.read_rest(); });
  EXPECT_EQ(answer(says + connect_to(peer) + R"(
      raises(ngx.socket.tcp, 1)
      raises(function() sock:connect() end)
      raises(function() sock:connect("a", 1, {}, 1) end)
      raises(function() sock:connect("a", 1, { pool = true }) end)
      raises(function() sock:connect("a", 1, { pool_size = 0 }) end)
      raises(function() sock:connect("a", 1, { pool_size = "x" }) end)
      raises(function() sock:connect("a", 1, { pool_size = 1, backlog = -1 }) end)
      raises(function() sock:bind() end)
      raises(function() sock:settimeout() end)
      raises(function() sock:settimeout(-1) end)
      raises(function() sock:settimeout(2147483648) end)
      raises(function() sock:settimeouts(1, 2) end)
      raises(function() sock:settimeouts(1, -2, 3) end)
      raises(function() sock:send() end)
      raises(function() sock:send("a", "b") end)
      raises(function() sock:send(print) end)
      raises(function() sock:send({ "a", true }) end)
      raises(function() sock:send({ "a", { ngx.null } }) end)
      raises(function() sock:receive(1, 2) end)
      raises(function() sock:receive("*x") end)
      raises(function() sock:receive("what") end)
      raises(function() sock:receive(-1) end)
      raises(function() sock:receive({}) end)
      raises(function() sock:receiveany() end)
      raises(function() sock:receiveany(0) end)
      raises(function() sock:receiveany("x") end)
      raises(function() sock:receiveuntil() end)
      raises(function() sock:receiveuntil("a", { inclusive = 1 }) end)
      raises(function() sock:receiveuntil("a")(1, 2) end)
      raises(function() sock:close(1) end)
      raises(function() sock:setkeepalive("soon") end)
      raises(function() sock:setkeepalive(1, 0) end)
      raises(function() sock:setkeepalive(1, 2, 3) end)
      raises(function() sock:getreusedtimes(1) end)
      raises(sock.getfd)
      ngx.say(sock:send("still open")))"),
            "expecting zero arguments, but got 1\n"
            "ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), but seen 1\n"
            "ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), but seen 5\n"
            "bad argument #3 to 'connect' (bad \"pool\" option type: boolean)\n"
            "bad argument #3 to 'connect' (bad \"pool_size\" option value: 0)\n"
            "bad argument #3 to 'connect' (bad \"pool_size\" option type: string)\n"
            "bad argument #3 to 'connect' (bad \"backlog\" option value: -1)\n"
            "expecting 2 or 3 arguments (including the object), but got 1\n"
            "ngx.socket settimeout: expecting 2 arguments (including the object) but seen 1\n"
            "bad timeout value\nbad timeout value\n"
            "ngx.socket settimeouts: expecting 4 arguments (including the object) but seen 3\n"
            "bad timeout value\n"
            "expecting 2 arguments (including the object), but got 1\n"
            "expecting 2 arguments (including the object), but got 3\n"
            "bad argument #1 to 'send' (string, number, boolean, nil, or array table expected, got function)\n"
            "bad argument #1 to 'send' (bad data type boolean found)\n"
            "bad argument #1 to 'send' (bad data type userdata found)\n"
            "expecting 1 or 2 arguments (including the object), but got 3\n"
            "bad argument #1 to 'receive' (bad pattern argument)\n"
            "bad argument #1 to 'receive' (bad pattern argument: what)\n"
            "bad argument #1 to 'receive' (bad number argument)\n"
            "bad argument #1 to 'receive' (bad argument)\n"
            "expecting 2 arguments (including the object), but got 1\n"
            "bad argument #1 to 'receiveany' (bad max argument)\n"
            "bad argument #1 to 'receiveany' (bad max argument)\n"
            "expecting 2 or 3 arguments (including the object), but got 1\n"
            "bad argument #2 to 'receiveuntil' (bad \"inclusive\" option value type: number)\n"
            "expecting 0 or 1 argument, but seen 2\n"
            "expecting 1 argument (including the object) but seen 2\n"
            "bad argument #1 to 'setkeepalive' (number expected, got string)\n"
            "bad argument #2 to 'setkeepalive' (bad \"pool_size\" option value: 0)\n"
            "expecting 1 to 3 arguments (including the object), but got 4\n"
            "expecting 1 argument (including the object), but got 2\n"
            "ngx.socket getfd: expecting the cosocket object, but seen none\n"
            "10\n");
}

TEST(cosocket_errors, of_values_are_returned) {
  const free_port nobody;
  EXPECT_EQ(answer(says + "local nobody = " + std::to_string(nobody.number()) + R"(
      local sock = ngx.socket.tcp()
      raises(function() sock:setoption("keepalive", true) end)
      says(sock:connect("127.0.0.1"))
      says(sock:connect("127.0.0.1", "port"))
      says(sock:connect("127.0.0.1", 65536))
      says(sock:connect("127.0.0.1", -1))
      says(sock:connect("unix:"))
      says(sock:connect("unix:/nowhere"))
      says(sock:connect("127.0.0.1", nobody))
      says(sock:bind("not an address"))
      says(sock:bind("127.0.0.1", "x"))
      says(sock:bind("127.0.0.1", 65536))
      says(sock:receiveuntil(""))
      says(sock:setoption())
      says(sock:setoption("keepalive"))
      says(sock:getoption())
      says(sock:send("x")) says(sock:receive()) says(sock:receiveany(1)) says(sock:receiveuntil("x")())
      says(sock:close()) says(sock:setkeepalive()) says(sock:getreusedtimes()) says(sock:getfd()))"),
            "socket is never created nor connected\n"
            "nil missing the port number\nnil missing the port number\nnil bad port number: 65536\n"
            "nil bad port number: -1\n"
            "nil failed to parse host name \"unix:\": no path in the unix domain socket\n"
            "nil no such file or directory\nnil connection refused\nnil bad address\n"
            "nil expecting port to be anumber but got type: string\nnil bad port number: 65536\n"
            "nil pattern is empty\n"
            "nil missing the \"option\" argument\nnil missing the \"value\" argument\n"
            "nil missing the \"option\" argument\n"
            "nil closed\nnil closed\nnil closed\nnil closed\nnil closed\nnil closed\nnil closed\nnil closed\n");
}

TEST(cosocket_errors, of_options_name_the_unknown_one) {
  test_peer peer([](test_connection& with) { with.read_rest(); });
  EXPECT_EQ(answer(says + connect_to(peer) + R"(
      says(sock:setoption("no-such", 1)) says(sock:getoption("no-such"))
      for _, name in ipairs{ "keepalive", "reuseaddr", "tcp-nodelay", "keepintvl", "keepcnt" } do
          assert(sock:setoption(name, 3)) assert(sock:getoption(name) > 0)
      end
      assert(sock:setoption("sndbuf", 20000)) assert(sock:setoption("rcvbuf", 30000))
      ngx.say(sock:getoption("sndbuf"), " ", sock:getoption("rcvbuf")))"),
            "nil unsupported option no-such\nnil unsupported option no-such\n40000 60000\n");
}

TEST(cosocket_errors, of_a_missing_object_are_raised) {
  EXPECT_EQ(answer(says + R"(
      local sock = ngx.socket.tcp()
      for _, name in ipairs{ "connect", "bind", "send", "receive", "receiveany", "receiveuntil", "close",
                             "setkeepalive", "getreusedtimes", "settimeout", "setoption" } do
          raises(function() if name == "close" or name == "getreusedtimes" or name == "setkeepalive" then
              sock[name](1) else sock[name]("x", 1) end end)
      end)"),
            "bad argument #1 to 'connect' (table expected, got string)\n"
            "bad argument #1 to 'bind' (table expected, got string)\n"
            "bad argument #1 to 'send' (table expected, got string)\n"
            "bad argument #1 to 'receive' (table expected, got string)\n"
            "bad argument #1 to 'receiveany' (table expected, got string)\n"
            "bad argument #1 to 'receiveuntil' (table expected, got string)\n"
            "bad argument #1 to 'close' (table expected, got number)\n"
            "bad argument #1 to 'setkeepalive' (table expected, got number)\n"
            "bad argument #1 to 'getreusedtimes' (table expected, got number)\n"
            "bad argument #1 to 'settimeout' (table expected, got string)\n"
            "bad argument #1 to 'setoption' (table expected, got string)\n");
}

TEST(cosocket_errors, of_one_socket_in_two_threads_say_what_the_other_does) {
  const deaf_listener peer(AF_INET, {}, false);
  // The writer fills the peer's buffers and waits; a reader waits beside it.
  EXPECT_EQ(answer(says + "local sock = ngx.socket.tcp() assert(sock:connect('127.0.0.1', " + peer.port() + R"())
      local reader = ngx.thread.spawn(function() return sock:receive() end)
      says(sock:receive()) says(sock:close()) says(sock:setkeepalive()) says(sock:connect("127.0.0.1", 1))
      ngx.say(sock:getreusedtimes())
      local writer = ngx.thread.spawn(function() return sock:send(("x"):rep(2 ^ 24)) end)
      says(sock:send("x"))
      ngx.thread.kill(reader)
      says(sock:close()) says(sock:setkeepalive()) says(sock:connect("127.0.0.1", 1))
      ngx.thread.kill(writer))"),
            "nil socket busy reading\nnil socket busy reading\nnil socket busy reading\n"
            "nil socket busy reading\n0\nnil socket busy writing\nnil socket busy writing\n"
            "nil socket busy writing\nnil socket busy writing\n");
}

TEST(cosocket_errors, of_time_are_told_apart) {
  const deaf_listener full(AF_INET);
  const deaf_listener silent(AF_INET, {}, false);
  test_node node({.conf = "server { listen @port@; location = / { content_by_lua_block { " + says + R"(
      local sock = ngx.socket.tcp()
      sock:settimeouts(20, 20, 20)
      says(sock:connect("127.0.0.1", )" + full.port() + R"()) says(sock:close())
      assert(sock:connect("127.0.0.1", )" + silent.port() + R"())
      says(sock:receive())
      says(sock:setkeepalive())
      says(sock:send(("x"):rep(2 ^ 24)))
      says(sock:send("x"))
      says(sock:close()) } } })"});
  EXPECT_EQ(test_client(node).get("/").body,
            "nil timeout\nnil closed\nnil timeout\nnil invalid connection\nnil timeout\nnil closed\n1 nil\n");
  const std::string at_full = "127.0.0.1:" + full.port() + "(127.0.0.1)";
  const std::string at_silent = "127.0.0.1:" + silent.port() + "(127.0.0.1)";
  EXPECT_TRUE(node.logs("[error] ")) << node.log();
  EXPECT_TRUE(node.logs("lua tcp socket connect timed out, upstream: " + at_full));
  EXPECT_TRUE(node.logs("lua tcp socket read timed out, upstream: " + at_silent));
  EXPECT_TRUE(node.logs("lua tcp socket write timed out, upstream: " + at_silent));
  EXPECT_TRUE(node.logs("attempt to send data on a closed socket: u:0x"));
  EXPECT_EQ(node.stop(), 0);
}

// Each byte that comes gives the reader its time anew.
TEST(cosocket_errors, of_time_do_not_come_while_bytes_do) {
  test_peer slow([](test_connection& with) {
    for (int i = 0; i < 8; ++i) {
      with.send("x");
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
  });
  EXPECT_EQ(answer(says + connect_to(slow) + "sock:settimeout(1000) says(sock:receive(8))"),
            "xxxxxxxx nil\n");
}

// connect(2) says EAGAIN at once; so do we, as nginx does.
TEST(cosocket_errors, of_a_unix_socket_whose_queue_is_full_come_at_once) {
  const temp_dir folder;
  const std::string path = (folder.path() / "full.sock").string();
  const deaf_listener full(AF_UNIX, path);
  test_node node({.conf = "server { listen @port@; location = / { content_by_lua_block { " + says +
                          "local sock = ngx.socket.tcp() says(sock:connect('unix:" + path +
                          "')) says(sock:close()) } } }"});
  EXPECT_EQ(test_client(node).get("/").body, "nil resource temporarily unavailable\nnil closed\n");
  EXPECT_TRUE(node.logs("[error] "));
  EXPECT_TRUE(node.logs("connect() to unix:" + path + " failed (11: Resource temporarily unavailable)"));
  EXPECT_EQ(node.stop(), 0);
}

TEST(cosocket_errors, of_a_peer_that_resets_close_each_half_for_itself) {
  test_peer peer([](test_connection& with) {
    with.send("part");
    with.read_until("\n");
    with.reset();
  });
  EXPECT_EQ(answer(says + connect_to(peer) + R"(
      sock:send("go\n")
      local data, err, part = sock:receive(10)
      ngx.say(tostring(data), " ", err, " ", part)
      says(sock:receive())
      local sent, failed
      for _ = 1, 100 do sent, failed = sock:send("x") if not sent then break end ngx.sleep(0.001) end
      ngx.say(failed) says(sock:send("x")) says(sock:close()))"),
            "nil connection reset by peer part\nnil closed\nbroken pipe\nnil closed\nnil closed\n");
}

TEST(cosocket_errors, of_keepalive_leave_the_connection_as_it_is) {
  test_peer chatty([](test_connection& with) {
    with.send("one\ntwo\n");
    with.read_until("\n");
    with.send("three\n");
    with.read_rest();
  });
  test_peer gone([](test_connection& with) { with.send("bye\n"); });
  EXPECT_EQ(answer(says + connect_to(chatty) + R"(
      ngx.say(sock:receive())
      says(sock:setkeepalive())
      ngx.say(sock:receive())
      sock:send("more\n") ngx.sleep(0.3)
      says(sock:setkeepalive())
      ngx.say(sock:receive())
      says(sock:setkeepalive()) says(sock:setkeepalive()))"),
            "one\nnil unread data in buffer\ntwo\nnil connection in dubious state\nthree\n1 nil\nnil closed\n");
  EXPECT_EQ(answer(says + connect_to(gone) + R"(
      ngx.say(sock:receive()) ngx.sleep(0.3)
      says(sock:setkeepalive()) says(sock:setkeepalive()))"),
            "bye\nnil closed\nnil closed\n");
}

// What a pool holds must be good when it is taken out again.
TEST(cosocket_errors, of_a_pooled_peer_are_seen_while_it_waits) {
  test_peer peer([](test_connection& with) {
    const std::string line = with.read_until("\n");
    with.send("ok\n");
    if (line == "close\n") return;
    if (line == "talk\n") with.send("unasked\n");
    if (line == "reset\n") with.reset();
    if (line != "reset\n") with.read_rest();
  });
  EXPECT_EQ(answer("local port = " + std::to_string(peer.address().port) + R"(
      local function ask(line)
          local sock = ngx.socket.tcp()
          assert(sock:connect("127.0.0.1", port))
          local reused = sock:getreusedtimes()
          assert(sock:send(line .. "\n"))
          local said, e = sock:receive()
          ngx.say(line, " ", reused, " ", said or e)
          local ok, e = sock:setkeepalive()
          if not ok then sock:close() end
          ngx.sleep(0.3)
      end
      ask("close") ask("talk") ask("reset") ask("last"))"),
            "close 0 ok\ntalk 0 ok\nreset 0 ok\nlast 0 ok\n");
}

TEST(cosocket_errors, of_a_queue_for_a_pool_time_out_or_are_refused) {
  test_peer peer([](test_connection& with) { with.read_rest(); });
  test_node node({.conf = "server { listen @port@; location = / { content_by_lua_block { " + says +
                          "local port = " + std::to_string(peer.address().port) + R"(
      local one = { pool = "p", pool_size = 1, backlog = 1 }
      local first = ngx.socket.tcp() assert(first:connect("127.0.0.1", port, one))
      local second = ngx.socket.tcp() second:settimeout(20)
      local t = ngx.thread.spawn(function() return second:connect("127.0.0.1", port, one) end)
      says(ngx.socket.tcp():connect("127.0.0.1", port, one))
      local _, ok, e = ngx.thread.wait(t)
      says(ok, e)
      first:close()
      says(second:connect("127.0.0.1", port, one)) } } })"});
  EXPECT_EQ(test_client(node).get("/").body,
            "nil too many waiting connect operations\nnil timeout\n1 nil\n");
  EXPECT_TRUE(node.logs("lua tcp socket queued connect timed out, when trying to connect to 127.0.0.1:" +
                        std::to_string(peer.address().port)));
  EXPECT_EQ(node.stop(), 0);
}

TEST(cosocket_errors, of_another_request_s_socket_are_bad_request) {
  test_peer peer([](test_connection& with) { with.read_rest(); });
  EXPECT_EQ(answer(says + connect_to(peer) + R"(
      local said = {}
      ngx.timer.at(0, function()
          local function try(name, ...) said[#said + 1] = select(2, pcall(sock[name], sock, ...)) end
          try("send", "x") try("receive") try("close") try("setkeepalive") try("connect", "127.0.0.1", 1)
          said[#said + 1] = select(2, sock:sslhandshake())
          said.done = true
      end)
      while not said.done do ngx.sleep(0.001) end
      for _, text in ipairs(said) do ngx.say(text) end)"),
            "bad request\nbad request\nbad request\nbad request\nbad request\nbad request\n");
}

TEST(cosocket_errors, of_request_sockets) {
  test_node node(with(says + R"(
      local sock, e = ngx.req.socket(ngx.var.arg_raw == "1")
      if not sock then return ngx.say(e) end
      says(ngx.req.socket())
      raises(function() ngx.req.socket(true, 2) end)
      ngx.say(type(sock.send), " ", type(sock.connect), " ", type(sock.setkeepalive))
      says(sock:close())
      ngx.say(sock:receive("*a")))"));
  test_client client(node);
  EXPECT_EQ(client.get("/").body, "no body\n");
  EXPECT_EQ(client.post("/", "body").body,
            "nil duplicate call\nexpecting zero arguments, but got 2\nnil nil nil\n"
            "nil attempt to close a request socket\nbody\n");
}

}  // namespace troupe::tests
