// SPDX-License-Identifier: Apache-2.0
//
// What strangers, and ZeroMQ itself, can do to a link. All on loopback.
#include "tests/cluster/link_ends.hpp"
#include "tests/support/resident_memory.hpp"

#include <zmq.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::tests {
namespace {

using std::chrono::milliseconds;

const curve_pair& server() {
  static const curve_pair pair = *curve_pair::make();
  return pair;
}

std::vector<upper_address> to(const lower_end& end, const std::string& key = server().public_key) {
  return {{end.address(), key}};
}

int connect_raw(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

void send_raw(int fd, const std::string& bytes) {
  (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

/// Until the other side closes, or `patience`.
bool is_closed_by_peer(int fd) {
  const timeval limit{60, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char bytes[512];
  ssize_t got = 0;
  while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0) {
  }
  return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

/// A node that is in, with which each test shows that those who may link notice nothing.
struct good_node {
  curve_pair keys = *curve_pair::make();
  std::unique_ptr<upper_end> end;
  explicit good_node(lower_end& below) {
    below.allow({{keys.public_key, link_role::member}});
    end = std::make_unique<upper_end>("good", keys, to(below));
    EXPECT_TRUE(end->seen.wait("up"));
    EXPECT_TRUE(below.seen.wait("subscribed node/good"));
  }
};

TEST(links_attack, a_stalled_node_with_heartbeats_on_is_not_aborted_and_goes_on) {
  lower_end below(server(),
                  {.heartbeat = milliseconds(100), .heartbeat_timeout = milliseconds(300)});
  const curve_pair mine = *curve_pair::make();
  below.allow({{mine.public_key, link_role::member}});
  upper_end node("a", mine, to(below), {.queue_messages = 500});
  ASSERT_TRUE(node.seen.wait("up"));
  ASSERT_TRUE(below.seen.wait("subscribed node/a"));
  std::promise<void> stalled, go_on;
  node.loop->post([&] {
    stalled.set_value();
    go_on.get_future().get();
  });
  stalled.get_future().get();
  const std::string text(1'000, 'x');
  const auto until = std::chrono::steady_clock::now() + milliseconds(1'500);  // five time-outs
  int sent = 0;
  while (std::chrono::steady_clock::now() < until) {
    below.announce("c", text);
    if (++sent % 50 == 0) std::this_thread::sleep_for(milliseconds(5));
  }
  go_on.set_value();
  ASSERT_TRUE(node.seen.wait("gap")) << "what did not fit is told";
  const auto dropped = static_cast<int>(node.count().dropped);
  EXPECT_GT(dropped, 0);
  // Some are on their way still.
  EXPECT_LE(node.seen.count("announced"), sent - dropped);
  EXPECT_EQ(node.seen.count("down"), 0) << "libzmq answered the heartbeats meanwhile";
  // One may find the queue above full still: as with beacons, there is another.
  for (int n = 0; node.seen.count("b beat") == 0 && n < 1'200; ++n) {
    below.announce("b", "beat");
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_GT(node.seen.count("b beat"), 0);
  EXPECT_TRUE(node.ask("there"));
}

TEST(links_attack, bytes_that_are_no_zmtp_end_their_own_connection_only) {
  lower_end below(server(), {.handshake = milliseconds(500)});
  good_node good(below);
  const std::uint16_t port = below.address().port;
  std::string greeting = "\xff";
  greeting.append(8, '\0');
  greeting += "\x7f\x03";
  const std::vector<std::string> all = {
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      std::string(10'000, '\0'),
      std::string(10'000, '\xff'),
      greeting + std::string(1, '\0') + std::string("NULL") + std::string(48, '\0'),
      greeting + std::string(1, '\0') + std::string("CURVE") + std::string(47, '\0') +
          "\x04\x05\x05HELLO" + std::string(300, 'x'),
      greeting + std::string(1, '\0') + std::string("CURVE") + std::string(47, '\0') +
          std::string("\x02\x7f\xff\xff\xff\xff\xff\xff\xff", 9),  // a frame of 2^63
      greeting,
  };
  for (const std::uint16_t at : {port, static_cast<std::uint16_t>(port + 1)}) {
    for (const std::string& bytes : all) {
      const int fd = connect_raw(at);
      ASSERT_GE(fd, 0);
      send_raw(fd, bytes);
      EXPECT_TRUE(is_closed_by_peer(fd));
      close(fd);
    }
  }
  EXPECT_TRUE(good.end->ask("still there"));
  below.announce("c", "news");
  EXPECT_TRUE(good.end->seen.wait("c news"));
  EXPECT_EQ(good.end->seen.count("down"), 0);
}

/// A node's key in hands that send what they like.
struct rude_node {
  std::unique_ptr<zmq_context> context = std::move(*zmq_context::make());
  zmq_socket socket;
  rude_node(const curve_pair& keys, int type, const std::string& endpoint) {
    socket = std::move(*zmq_socket::open(*context, type));
    EXPECT_TRUE(socket.set(ZMQ_CURVE_PUBLICKEY, std::string_view(keys.public_key)));
    EXPECT_TRUE(socket.set(ZMQ_CURVE_SECRETKEY, std::string_view(keys.secret_key)));
    EXPECT_TRUE(socket.set(ZMQ_CURVE_SERVERKEY, std::string_view(server().public_key)));
    EXPECT_TRUE(socket.set(ZMQ_RCVTIMEO, 60'000));
    EXPECT_TRUE(socket.connect(endpoint));
  }
  std::string answer() {
    char bytes[4'096];
    const int got = zmq_recv(socket.handle(), bytes, sizeof bytes, 0);
    return got < 0 ? "" : std::string(bytes, static_cast<std::size_t>(got));
  }
};

TEST(links_attack, what_is_no_message_is_counted_and_refused_where_it_asks) {
  lower_end below(server());
  good_node good(below);
  const curve_pair rude_keys = *curve_pair::make();
  below.allow(
      {{good.keys.public_key, link_role::member}, {rude_keys.public_key, link_role::member}});
  rude_node rude(rude_keys, ZMQ_DEALER, below.address().endpoint());
  for (int n = 0; n < 200; ++n) rude.socket.send(std::string(n, '\xc1'));
  rude.socket.send_all({"two", "frames"});
  rude.socket.send("");
  // An array: version 1.0, a type that nobody knows, question 42.
  rude.socket.send(std::string_view("\x93\xcd\x01\x00\xa3new\x2a", 9));
  const auto answer = decode_message(rude.answer());
  ASSERT_TRUE(answer);
  ASSERT_TRUE(std::holds_alternative<refused>(*answer));
  EXPECT_EQ(std::get<refused>(*answer).ask, 42U);
  EXPECT_GE(below.count().garbage, 203U);
  int lines = 0;
  const auto add = [&](const std::string& prefix) { lines += below.seen.count(prefix); };
  add("log a request of too many frames from " + rude_keys.public_key);
  EXPECT_LE(lines, 1);
  EXPECT_TRUE(good.end->ask("still there"));
}

TEST(links_attack, garbage_on_the_announcement_socket_is_no_subscription) {
  lower_end below(server());
  good_node good(below);
  const curve_pair rude_keys = *curve_pair::make();
  below.allow(
      {{good.keys.public_key, link_role::member}, {rude_keys.public_key, link_role::member}});
  rude_node rude(rude_keys, ZMQ_XSUB, below.address().endpoint(1));
  rude.socket.send("\x01t/mine");
  ASSERT_TRUE(below.seen.wait("subscribed t/mine"));
  rude.socket.send("\x02what");
  // What is announced to a subscription would have the rest of it as a message.
  rude.socket.send(std::string("\x01node/a\0forged", 14));
  rude.socket.send_all({"\x05more", "frames"});
  rude.socket.send("\x01t/last");
  ASSERT_TRUE(below.seen.wait("subscribed t/last"));
  EXPECT_GE(below.count().garbage, 2U);
  EXPECT_EQ(below.seen.count("subscribed " + std::string("node/a\0forged", 13)), 0);
  below.announce("c", "news");
  EXPECT_TRUE(good.end->seen.wait("c news"));
}

TEST(links_attack, a_message_beyond_the_limit_ends_its_connection_only) {
  lower_end below(server());
  good_node good(below);
  const curve_pair rude_keys = *curve_pair::make();
  below.allow(
      {{good.keys.public_key, link_role::member}, {rude_keys.public_key, link_role::member}});
  rude_node rude(rude_keys, ZMQ_DEALER, below.address().endpoint());
  rude.socket.send(encode(query{.ask = 1, .what = "hello"}));
  EXPECT_FALSE(rude.answer().empty());
  rude.socket.send(std::string(2 * 1024 * 1024, 'x'));
  EXPECT_TRUE(below.seen.wait("gone " + rude_keys.public_key));
  EXPECT_TRUE(good.end->ask("still there"));
}

TEST(links_attack, a_subscriber_that_does_not_read_delays_nobody) {
  lower_end below(std::nullopt);  // so that a few bytes make a subscriber
  upper_end good("good", std::nullopt, to(below, ""));
  ASSERT_TRUE(good.seen.wait("up"));
  ASSERT_TRUE(below.seen.wait("subscribed node/good"));
  const int stuck = connect_raw(static_cast<std::uint16_t>(below.address().port + 1));
  ASSERT_GE(stuck, 0);
  std::string bytes = "\xff";
  bytes.append(8, '\0');
  bytes += "\x7f\x03";
  bytes += std::string(1, '\0') + "NULL" + std::string(48, '\0');
  const std::string ready =
      std::string("\x05READY\x0bSocket-Type") + std::string("\0\0\0\x03SUB", 7);
  send_raw(stuck, bytes);
  char theirs[64];
  ASSERT_EQ(recv(stuck, theirs, sizeof theirs, MSG_WAITALL), 64);
  send_raw(stuck, "\x04" + std::string(1, static_cast<char>(ready.size())) + ready);
  ASSERT_GT(recv(stuck, theirs, sizeof theirs, 0), 0) << "its own READY";
  send_raw(stuck, std::string("\0\x02\x01", 3) + "c");
  ASSERT_TRUE(below.seen.wait("subscribed c", 2)) << "the good one's and the stuck one's";
  // Far more than its queue and its connection hold; each is waited for at the good one.
  [[maybe_unused]] const auto memory_kb = resident_kilobytes(getpid());
  const std::string text(16 * 1024, 'x');
  for (int n = 1; n <= 2'000; ++n) {
    below.announce("c", text);
    ASSERT_TRUE(good.seen.wait("announced", n)) << n;
  }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(resident_kilobytes(getpid()), memory_kb + 16 * 1024);
#endif
  close(stuck);
}

/// Makes new connections with keys that nobody knows, as fast as it can.
class hostile_clients {
 public:
  explicit hostile_clients(const link_address& at, int at_once) {
    thread_ = std::thread([this, endpoint = at.endpoint(), at_once] {
      auto context = std::move(*zmq_context::make());
      std::vector<zmq_socket> sockets(static_cast<std::size_t>(at_once));
      while (!stop_) {
        for (zmq_socket& one : sockets) {
          if (stop_) break;
          one = zmq_socket();
          auto made = zmq_socket::open(*context, ZMQ_DEALER);
          if (!made) continue;
          const auto keys = curve_pair::make();
          (void)made->set(ZMQ_CURVE_PUBLICKEY, std::string_view(keys->public_key));
          (void)made->set(ZMQ_CURVE_SECRETKEY, std::string_view(keys->secret_key));
          (void)made->set(ZMQ_CURVE_SERVERKEY, std::string_view(server().public_key));
          if (made->connect(endpoint)) ++attempts_;
          one = std::move(*made);
        }
      }
      sockets.clear();
    });
  }
  ~hostile_clients() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] long attempts() const { return attempts_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<long> attempts_ = 0;
  std::thread thread_;
};

TEST(links_attack, a_thousand_clients_with_bad_keys_do_not_stop_the_good_ones) {
  lower_end below(server());
  good_node good(below);
  const auto memory_kb = resident_kilobytes(getpid());
  hostile_clients hostile(below.address(), 1'000);
  for (int n = 0; hostile.attempts() < 10'000; ++n) {
    const std::string text = std::to_string(n);
    ASSERT_TRUE(good.end->ask(text));
    below.announce("c", text);
    ASSERT_TRUE(good.end->seen.wait("c " + text));
  }
  EXPECT_EQ(good.end->seen.count("down"), 0);
  EXPECT_GT(below.count().cut, 0U) << "most were cut before their handshake";
  hostile.stop();
  EXPECT_LT(resident_kilobytes(getpid()), memory_kb + 256 * 1024) << "theirs and ours together";
  EXPECT_TRUE(good.end->ask("after"));
}

TEST(links_attack, at_the_limit_of_descriptors_no_thread_spins_and_those_linked_go_on) {
  lower_end below(server(), {.limits = {.descriptors = 1'000'000}});  // the reserve does not help
  good_node good(below);
  const std::uint16_t port = below.address().port;
  int go[2];
  ASSERT_EQ(pipe2(go, O_CLOEXEC), 0);
  // Connections from a process of its own, whose descriptors are not ours: system calls only.
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    (void)!read(go[0], &byte, 1);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int n = 0; n < 100; ++n) {
      const int fd = socket(AF_INET, SOCK_STREAM, 0);
      (void)connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at);
    }
    (void)!read(go[0], &byte, 1);
    _exit(0);
  }
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit tight = before;
  tight.rlim_cur = 400;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  std::vector<int> taken;
  for (int fd = open("/dev/null", O_RDONLY); fd >= 0; fd = open("/dev/null", O_RDONLY)) {
    taken.push_back(fd);
  }
  EXPECT_EQ(errno, EMFILE);
  const std::clock_t used_before = std::clock();
  (void)!write(go[1], "1", 1);
  for (int n = 0; n < 20; ++n) {
    EXPECT_TRUE(good.end->ask(std::to_string(n)));
    std::this_thread::sleep_for(milliseconds(50));
  }
  const double used = static_cast<double>(std::clock() - used_before) / CLOCKS_PER_SEC;
  for (const int fd : taken) close(fd);
  setrlimit(RLIMIT_NOFILE, &before);
  (void)!write(go[1], "1", 1);
  waitpid(child, nullptr, 0);
  EXPECT_LT(used, 0.5) << "of a second, by all threads";
  EXPECT_GT(below.count().cut, 0U);
  EXPECT_EQ(good.end->seen.count("down"), 0);
  EXPECT_TRUE(good.end->ask("after"));
  close(go[0]);
  close(go[1]);
}

TEST(links_attack, above_nine_tenths_of_the_descriptors_new_ones_are_refused_and_old_ones_stay) {
  lower_end below(server(), {.limits = {.descriptors = 100}});
  good_node good(below);
  std::vector<int> raw;
  for (int n = 0; n < 100; ++n) raw.push_back(connect_raw(below.address().port));
  EXPECT_TRUE(is_closed_by_peer(raw.back()));
  EXPECT_GT(below.count().cut, 0U);
  EXPECT_TRUE(good.end->ask("still there"));
  for (const int fd : raw) close(fd);
}

}  // namespace
}  // namespace troupe::tests
