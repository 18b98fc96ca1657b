// SPDX-License-Identifier: Apache-2.0
#include "cluster/link_address.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

TEST(link_address, names_host_and_port) {
  const auto v4 = link_address::parse("127.0.0.1:7000");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->text(), "127.0.0.1:7000");
  EXPECT_EQ(v4->endpoint(1), "tcp://127.0.0.1:7001");
  const auto v6 = link_address::parse("[::1]:7000");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->endpoint(), "tcp://[::1]:7000");
  EXPECT_EQ(link_address::parse("localhost:7000")->endpoint(), "tcp://127.0.0.1:7000");
}

TEST(link_address, without_a_port_or_host_it_is_refused) {
  for (const char* text : {"", "127.0.0.1", ":7000", "a:", "a:x", "a:70000", "a:65535", "::1:7000",
                           "a b:1", "a/b:1", "a:7 ", "a:-1"}) {
    EXPECT_FALSE(link_address::parse(text)) << text;
  }
}

TEST(link_address, knows_this_machine_by_its_form) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"}) {
    EXPECT_TRUE(link_address::parse(text)->is_loopback()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "128.0.0.1:1", "[::]:1", "localhost.example:1", "*:1"}) {
    EXPECT_FALSE(link_address::parse(text)->is_loopback()) << text;
  }
}

}  // namespace
}  // namespace troupe::cluster
