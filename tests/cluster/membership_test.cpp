// SPDX-License-Identifier: Apache-2.0
#include "cluster/membership.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace troupe::tests {
namespace {

using namespace troupe::cluster;
using namespace std::chrono_literals;

const instant begun{1h};

node_report node(const std::string& name, std::map<std::string, std::uint32_t> active = {}) {
  node_report result;
  result.name = name;
  result.active = std::move(active);
  return result;
}

TEST(cluster_membership, a_node_is_live_for_three_beacons) {
  membership all;
  all.hear(node("a"), "key of a", begun, {});
  EXPECT_TRUE(all.is_live("a", begun + 3s));
  EXPECT_FALSE(all.is_live("a", begun + 4s));
  all.hear("a", begun + 3s);
  EXPECT_TRUE(all.is_live("a", begun + 6s));
  EXPECT_FALSE(all.is_live("b", begun));
}

TEST(cluster_membership, a_node_that_moves_is_the_same_node) {
  membership all;
  all.hear(node("a"), "one relay", begun, {});
  all.hear(node("a"), "another", begun, {});
  ASSERT_EQ(all.all().size(), 1u);
  EXPECT_EQ(all.find("a")->via, "another");
}

// A release that few run is found among many nodes that do not.
TEST(cluster_membership, sources_are_of_each_set_of_releases) {
  membership all;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "a" + std::to_string(i);
    all.hear(node(name, {{"shop", 1}}), name, begun, {});
  }
  all.hear(node("y", {{"shop", 1}, {"blog", 1}}), "y", begun, {});
  all.hear(node("z", {{"shop", 2}}), "z", begun, {});
  const auto some = all.sources("a0", 5, begun);
  EXPECT_EQ(some.size(), 5u);
  for (const char* name : {"y", "z"}) {
    EXPECT_NE(std::find(some.begin(), some.end(), name), some.end()) << name;
  }
  EXPECT_EQ(std::find(some.begin(), some.end(), "a0"), some.end());
  EXPECT_EQ(all.sources("a0", 1'000, begun).size(), 101u);
}

TEST(cluster_membership, sources_are_live_and_each_link_is_one) {
  membership all;
  all.hear(node("a"), "relay", begun, {});
  all.hear(node("b"), "relay", begun, {});
  all.hear(node("c"), "c", begun - 10s, {});
  EXPECT_EQ(all.sources("", 10, begun), std::vector<peer_id>{"relay"});
}

}  // namespace
}  // namespace troupe::tests
