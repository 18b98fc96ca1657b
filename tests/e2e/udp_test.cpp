// SPDX-License-Identifier: Apache-2.0
//
// UDP cosockets, and those of Unix datagrams, against peers of the test's own.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <thread>

#include "net/socket.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

/// Answers each datagram with "got " and its text; "twice" twice; "quiet" not at all.
class echo_peer {
public:
  explicit echo_peer(const std::string& path = {}) {
    if (path.empty()) {
      fd_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in any{};
      any.sin_family = AF_INET;
      any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any);
      port_ = net::local_address(fd_.get()).port();
    } else {
      fd_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_un here{};
      here.sun_family = AF_UNIX;
      std::strncpy(here.sun_path, path.c_str(), sizeof here.sun_path - 1);
      ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&here), sizeof here);
    }
    thread_ = std::thread([this] { answer(); });
  }
  ~echo_peer() {
    ::shutdown(fd_.get(), SHUT_RDWR);  // Wakes recvfrom().
    thread_.join();
  }
  [[nodiscard]] std::string port() const { return std::to_string(port_); }

private:
  void answer() {
    char room[65536];
    for (;;) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t n = ::recvfrom(fd_.get(), room, sizeof room, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n <= 0) return;
      const std::string text(room, static_cast<std::size_t>(n));
      if (text == "quiet") continue;
      const std::string reply = "got " + text;
      for (int i = text == "twice" ? 2 : 1; i > 0; --i) {
        ::sendto(fd_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
      }
    }
  }

  net::unique_fd fd_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

std::string answer(const std::string& code, const std::string& more = {}) {
  test_node node({.conf = "server { listen @port@; lua_socket_log_errors off; " + more +
                          " location = / { content_by_lua_block { " + code + " } } }"});
  return test_client(node).get("/").body;
}

std::string to(const echo_peer& peer) {
  return "local sock = ngx.socket.udp() assert(sock:setpeername('127.0.0.1', " + peer.port() + ")) ";
}

}  // namespace

TEST(udp, sends_and_receives_whole_datagrams) {
  const echo_peer peer;
  EXPECT_EQ(answer(to(peer) + R"(
      ngx.say(sock:send("twice"), sock:receive(), sock:receive())
      sock:send({ "a", { 1, "b" } }) ngx.say(sock:receive())
      sock:send(true) ngx.say(sock:receive())
      sock:send(("x"):rep(3000)) ngx.say(#sock:receive())
      sock:send("cut off") ngx.say(sock:receive(7))
      ngx.say(sock:close()))"),
            "1got twicegot twice\ngot a1b\ngot true\n3004\ngot cut\n1\n");
}

TEST(udp, of_a_unix_socket_is_answered) {
  const temp_dir folder;
  const std::string path = (folder.path() / "peer.sock").string();
  const echo_peer peer(path);
  EXPECT_EQ(answer("local sock = ngx.socket.udp() assert(sock:setpeername('unix:" + path + R"('))
      sock:send("hello") ngx.print(sock:receive()))"),
            "got hello");
}

TEST(udp, times_out_and_goes_on) {
  const echo_peer peer;
  EXPECT_EQ(answer(to(peer) + R"(
      sock:settimeout(5)
      sock:send("quiet")
      local data, err = sock:receive() ngx.say(tostring(data), " ", err)
      sock:settimeout(5000)
      sock:send("again") ngx.say(sock:receive()))"),
            "nil timeout\ngot again\n");
}

// Both wake in the same millisecond, the other thread first: the result is not its to take.
TEST(udp, keeps_a_result_until_its_thread_has_it) {
  const echo_peer peer;
  EXPECT_EQ(answer(to(peer) + R"(
      sock:settimeout(50)
      local other = ngx.thread.spawn(function() ngx.sleep(0.05) return sock:receive() end)
      local data, err = sock:receive() ngx.say(tostring(data), " ", tostring(err))
      local _, mine, why = ngx.thread.wait(other) ngx.say(tostring(mine), " ", tostring(why)))"),
            "nil timeout\nnil socket busy\n");
}

TEST(udp, says_what_went_wrong) {
  const echo_peer peer;
  EXPECT_EQ(answer(R"(
      local sock = ngx.socket.udp()
      local function say(...) ngx.say((select(2, ...))) end
      say(sock:send("x"))
      say(sock:receive())
      say(sock:close())
      say(sock:setpeername("127.0.0.1", 65536))
      say(sock:setpeername("unix:/nowhere/at/all"))
      say(sock:setpeername("there-is-no-such-host.invalid", 1))
      say(sock:bind("not an address"))
      say(pcall(sock.setpeername, sock))
      say(pcall(sock.send, sock))
      say(pcall(sock.send, sock, print))
      say(pcall(sock.settimeout, sock)))"),
            "closed\nclosed\nclosed\nbad port number: 65536\nno such file or directory\n"
            "there-is-no-such-host.invalid could not be resolved (3: Host not found)\nbad address\n"
            "ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), but seen 1\n"
            "expecting 2 arguments (including the object), but got 1\n"
            "bad argument #2 to '?' (string, number, boolean, nil, or array table expected, got function)\n"
            "ngx.socket settimeout: expecting at least 2 arguments (including the object) but seen 1\n");
}

TEST(udp, nobody_there_is_connection_refused) {
  std::string port;
  {
    const echo_peer gone;
    port = gone.port();
  }
  EXPECT_EQ(answer("local sock = ngx.socket.udp() sock:setpeername('127.0.0.1', " + port + R"()
      sock:send("x") ngx.print(select(2, sock:receive())))"),
            "connection refused");
}

TEST(udp, of_another_request_is_a_bad_request_and_one_reader_at_a_time) {
  const echo_peer peer;
  EXPECT_EQ(answer(to(peer) + R"(
      local t = ngx.thread.spawn(function() return sock:receive() end)
      ngx.say(select(2, sock:receive()), ", ", select(2, sock:send("x")), ", ", select(2, sock:close()))
      ngx.thread.kill(t)
      local said
      ngx.timer.at(0, function() said = select(2, pcall(sock.send, sock, "x")) end)
      while not said do ngx.sleep(0.001) end
      ngx.say(said))"),
            "socket busy, socket busy, socket busy\nbad request\n");
}

TEST(udp, binds_to_the_address_that_it_is_told) {
  const echo_peer peer;
  EXPECT_EQ(answer("local sock = ngx.socket.udp() ngx.print(sock:bind('127.0.0.7')) sock:setpeername('127.0.0.1', " +
                   peer.port() + ") sock:send('x') ngx.print(sock:receive())"),
            "1got x");
}

// A module's socket that each request uses in turn: settimeout comes before setpeername.
TEST(sockets_of_a_module, keep_their_time_outs_from_one_request_to_the_next) {
  const echo_peer peer;
  test_node node({.conf = "init_by_lua_block { kept = {} } server { listen @port@; lua_socket_log_errors off; "
                          "lua_socket_read_timeout 1h; location = / { content_by_lua_block { local port = " +
                          peer.port() + R"(
      kept.udp = kept.udp or ngx.socket.udp()
      kept.udp:settimeout(20)
      assert(kept.udp:setpeername("127.0.0.1", port))
      kept.udp:send("quiet")
      ngx.say(select(2, kept.udp:receive()))
      kept.tcp = kept.tcp or ngx.socket.tcp()
      kept.tcp:settimeout(20)
      assert(kept.tcp:connect("127.0.0.1", ngx.var.server_port))
      ngx.say(select(2, kept.tcp:receive())) } } })"});
  test_client client(node);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.get("/").body, "timeout\ntimeout\n");
}

}  // namespace troupe::tests
