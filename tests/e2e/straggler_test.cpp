// SPDX-License-Identifier: Apache-2.0
//
// A node whose process stands still holds up no value on the others.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/test_cluster.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

std::string state_of(const json& set, const std::string& node) {
  for (const json& each : set["nodes"]) {
    if (each["name"] == node) return each["state"].get<std::string>();
  }
  return "";
}

TEST(straggler, a_node_that_hangs_holds_up_no_value) {
  test_cluster cluster;
  ASSERT_TRUE(test_cluster::comes_true([&] { return cluster.ask_json({"nodes"}).size() == 3u; }));
  for (int i = 0; i < 12; ++i) {
    ASSERT_EQ(cluster.ask({"config", "set", "rate", std::to_string(i)}).status, 0);
  }
  cluster.of("b").signal(SIGSTOP);
  const auto begun = clock::now();
  const finished set = cluster.ask({"config", "set", "rate", "100"});
  // Without that it takes until b counts as gone, some 3 s.
  EXPECT_LT(clock::now() - begun, 1500ms);
  EXPECT_EQ(set.status, 0) << set.err;
  EXPECT_NE(set.err.find("b is behind"), std::string::npos) << set.err;
  const json again = cluster.ask_json({"config", "set", "rate", "101"});
  EXPECT_EQ(again["state"], "applied") << again;
  EXPECT_EQ(state_of(again, "b"), "behind") << again;
  EXPECT_EQ(state_of(again, "c"), "active") << again;
  cluster.of("b").signal(SIGCONT);
  EXPECT_TRUE(test_cluster::comes_true([&] {
    return cluster.ask({"config", "get", "rate"}, "b").out == "101\n";
  }));
  EXPECT_TRUE(test_cluster::comes_true([&] {
    return state_of(cluster.ask_json({"config", "set", "rate", "102"}), "b") == "active";
  }));
}

}  // namespace
}  // namespace troupe::tests
