// SPDX-License-Identifier: Apache-2.0
#include "cluster/address_filter.hpp"

#include "cluster/file_descriptor.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

namespace troupe::cluster {
namespace {

struct a_listener {
  file_descriptor socket;
  sockaddr_in at{};
  a_listener() : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    EXPECT_EQ(bind(socket.number(), reinterpret_cast<sockaddr*>(&at), length), 0);
    EXPECT_EQ(listen(socket.number(), 16), 0);
    EXPECT_EQ(getsockname(socket.number(), reinterpret_cast<sockaddr*>(&at), &length), 0);
  }
  /// Whether a connection from that address comes about within 200 ms.
  [[nodiscard]] bool hears(const char* from) const {
    const file_descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in own{};
    own.sin_family = AF_INET;
    EXPECT_EQ(inet_pton(AF_INET, from, &own.sin_addr), 1);
    EXPECT_EQ(bind(client.number(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
    if (connect(client.number(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return true;
    pollfd wait{client.number(), POLLOUT, 0};
    return poll(&wait, 1, 200) == 1 && (wait.revents & (POLLERR | POLLHUP)) == 0;
  }
};

TEST(address_filter, only_those_that_are_named_are_not_heard) {
  const a_listener listener;
  ASSERT_TRUE(listener.hears("127.0.0.2"));
  ASSERT_TRUE(hear_nothing_from(listener.socket.number(), {"2001:db8::", "127.0.0.2", "192.0.2.1"}));
  EXPECT_FALSE(listener.hears("127.0.0.2"));
  EXPECT_TRUE(listener.hears("127.0.0.1"));
  ASSERT_TRUE(hear_nothing_from(listener.socket.number(), {"127.0.0.3"}));
  EXPECT_TRUE(listener.hears("127.0.0.2"));
  EXPECT_FALSE(listener.hears("127.0.0.3"));
  ASSERT_TRUE(hear_nothing_from(listener.socket.number(), {}));
  EXPECT_TRUE(listener.hears("127.0.0.3"));
}

TEST(address_filter, as_many_as_it_may_be_told_fit) {
  const a_listener listener;
  std::vector<std::string> four, six;
  for (std::size_t i = 0; i < max_filtered_addresses; ++i) {
    four.push_back("127.0.1." + std::to_string(i));
    six.push_back("2001:db8:0:" + std::to_string(i) + "::");
  }
  EXPECT_TRUE(hear_nothing_from(listener.socket.number(), six));
  EXPECT_TRUE(listener.hears("127.0.1.7"));
  EXPECT_TRUE(hear_nothing_from(listener.socket.number(), four));
  EXPECT_FALSE(listener.hears("127.0.1.7"));
  EXPECT_FALSE(listener.hears("127.0.1.255"));
  EXPECT_TRUE(listener.hears("127.0.0.1"));
  // A name that is no address stands for nobody.
  EXPECT_TRUE(hear_nothing_from(listener.socket.number(), {"nobody", ""}));
  EXPECT_TRUE(listener.hears("127.0.1.7"));
}

}  // namespace
}  // namespace troupe::cluster
