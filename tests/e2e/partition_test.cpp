// SPDX-License-Identifier: Apache-2.0
//
// A cluster on machines of its own network (network namespaces), which is cut, healed and made bad:
// who is cut off serves on and says how far behind it may be, and all that reach the controller are
// soon at one state again, whatever both sides did meanwhile.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/support/test_cluster.hpp"
#include "tests/support/test_network.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

/// The 5 s, and room for a machine that does other things too.
constexpr std::chrono::seconds soon{15};

class partition : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = test_network::why_not(); !why.empty()) GTEST_SKIP() << why;
  }
  [[nodiscard]] static json nodes(const test_cluster& cluster, const std::string& by) {
    return json::parse(cluster.ask({"nodes", "--json"}, by).out, nullptr, false);
  }
  /// So many nodes are live, at one place of the history and with one release.
  [[nodiscard]] static bool are_one(const test_cluster& cluster, std::size_t count,
                                    const std::string& by) {
    const json all = nodes(cluster, by);
    if (!all.is_array() || all.size() != count) return false;
    std::set<std::string> places;
    for (const json& each : all) {
      if (each["live"] != true || each["behind"] != 0) return false;
      places.insert(each["epoch"].dump() + ' ' + each["seq"].dump() + ' ' + each["digest"].dump());
    }
    return places.size() == 1;
  }
  static void wait_for(const test_cluster& cluster, std::size_t count, const std::string& by = "a") {
    ASSERT_TRUE(test_cluster::comes_true([&] { return are_one(cluster, count, by); }))
        << cluster.ask({"nodes"}, by).out;
  }
  static void are_one_soon(const test_cluster& cluster, std::size_t count, const std::string& by) {
    const auto began = steady_clock::now();
    wait_for(cluster, count, by);
    const auto took = steady_clock::now() - began;
    RecordProperty("converged_ms", static_cast<int>(took / std::chrono::milliseconds(1)));
    EXPECT_LT(took, soon);
  }
  /// Its readiness endpoint's answer, without what stands before it.
  [[nodiscard]] static json ready(const test_network& net, const std::string& name) {
    return json::parse(run(net.on(name, {"curl", "-s", "http://127.0.0.1:9000/"})).out, nullptr,
                       false);
  }
  [[nodiscard]] static bool is_live(const test_cluster& cluster, const std::string& by,
                                    const std::string& name) {
    for (const json& each : nodes(cluster, by)) {
      if (each["name"] == name) return each["live"] == true;
    }
    return false;
  }
};

TEST_F(partition, a_node_that_is_cut_off_serves_on_says_so_and_is_level_soon_after) {
  const test_network net({"a", "b", "c"});
  test_cluster cluster({.network = &net, .flags = {{"c", {"--ready", "127.0.0.1:9000"}}}});
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  // With its first beacon.
  EXPECT_TRUE(test_cluster::comes_true([&] { return ready(net, "c")["ready"] == true; }));
  net.unplug("c");
  ASSERT_TRUE(test_cluster::comes_true([&] { return !is_live(cluster, "a", "c"); }));
  // The others go on without it, and it without them.
  EXPECT_EQ(cluster.ask({"push", cluster.app("two", "two")}).status, 0);
  EXPECT_EQ(cluster.ask({"config", "set", "word", "late"}, "b").status, 0);
  EXPECT_EQ(cluster.get("b"), "two\n");
  EXPECT_EQ(cluster.get("c"), "one\n");
  json said;
  EXPECT_TRUE(test_cluster::comes_true([&] {
    said = ready(net, "c");
    return said["ready"] == false;
  })) << said;
  EXPECT_GT(said["silent_ms"], 1000) << said;
  EXPECT_TRUE(said["problem"].is_string()) << said;
  const finished asked = cluster.ask({"nodes"}, "c");
  EXPECT_EQ(asked.status, 0) << asked.err;
  EXPECT_NE(asked.err.find("controller"), std::string::npos) << asked.err;
  EXPECT_EQ(cluster.ask({"config", "set", "word", "lost", "--timeout", "5"}, "c").status, 4);
  net.plug("c");
  are_one_soon(cluster, 3, "a");
  EXPECT_EQ(cluster.get("c"), "two\n");
  EXPECT_TRUE(test_cluster::comes_true([&] { return ready(net, "c")["ready"] == true; }));
  for (const std::string name : {"c", "b", "a"}) EXPECT_EQ(cluster.stop(name), 0);
}

TEST_F(partition, both_sides_push_and_the_side_of_the_promoted_one_stays) {
  const test_network net({"a", "b", "c", "d"});
  test_cluster cluster({.network = &net,
                        .nodes = 4,
                        .flags = {{"c", {"--controller", "--listen", net.address("c") + ":7000"}}}});
  wait_for(cluster, 4);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  net.split({{"a", "b"}, {"c", "d"}});
  ASSERT_TRUE(test_cluster::comes_true(
      [&] { return !is_live(cluster, "a", "c") && !is_live(cluster, "a", "d"); }));
  EXPECT_EQ(cluster.ask({"push", cluster.app("left", "left"), "-m", "of the left"}, "b").status, 0);
  EXPECT_EQ(cluster.ask({"config", "set", "side", "left"}).status, 0);
  ASSERT_EQ(cluster.ask({"cluster", "promote", "c", "--yes"}, "c").status, 0);
  ASSERT_TRUE(test_cluster::comes_true([&] { return is_live(cluster, "c", "d"); }));
  EXPECT_EQ(cluster.ask({"push", cluster.app("right", "right")}, "d").status, 0);
  EXPECT_EQ(cluster.ask({"config", "set", "side", "right"}, "c").status, 0);
  for (const std::string name : {"a", "b"}) EXPECT_EQ(cluster.get(name), "left\n");
  for (const std::string name : {"c", "d"}) EXPECT_EQ(cluster.get(name), "right\n");

  net.heal();
  are_one_soon(cluster, 4, "c");
  for (const std::string name : {"a", "b", "c", "d"}) EXPECT_EQ(cluster.get(name), "right\n") << name;
  // Nothing is lost without a word: what the left side acknowledged is told.
  const json status = cluster.ask_json({"cluster", "status"}, 0, "a");
  EXPECT_EQ(status["controller"], "c") << status;
  EXPECT_EQ(status["epoch"], 2) << status;
  std::set<std::string> aside;
  for (const json& one : status["aside"]) aside.insert(one["kind"].get<std::string>());
  EXPECT_TRUE(aside.contains("config") && aside.contains("release")) << status;
  for (const std::string name : {"a", "b", "c", "d"}) {
    EXPECT_EQ(cluster.ask({"config", "get", "side"}, name).out, "right\n") << name;
  }
  ASSERT_EQ(cluster.ask({"push", cluster.app("three", "three")}, "a").status, 0);
  for (const std::string name : {"a", "b", "c", "d"}) EXPECT_EQ(cluster.get(name), "three\n");
}

TEST_F(partition, on_a_bad_network_all_arrives_all_the_same) {
  const test_network net({"a", "b", "c"});
  test_cluster cluster({.network = &net});
  wait_for(cluster, 3);
  for (const std::string name : {"a", "c"}) net.worsen(name);
  for (int i = 0; i < 5; ++i) {
    const std::string word = "word" + std::to_string(i);
    // A node that is too late is not waited for, or it stops the push: who pushed hears which.
    ASSERT_TRUE(test_cluster::comes_true([&] {
      return cluster.ask({"push", cluster.app(word, word), "--require", "30%"}, "b").status != 1;
    }));
    // It may have missed three beacons, and is given the time to find the controller again.
    EXPECT_EQ(cluster.ask({"config", "set", "last", word, "--timeout", "60"}, "c").status % 3, 0);
  }
  wait_for(cluster, 3);
  for (const std::string name : {"a", "b", "c"}) {
    EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get(name) == "word4\n"; })) << name;
    EXPECT_EQ(cluster.ask({"config", "get", "last"}, name).out, "word4\n") << name;
  }
}

TEST_F(partition, a_network_that_comes_and_goes_leaves_all_at_one_state) {
  const test_network net({"a", "b", "c"});
  test_cluster cluster({.network = &net});
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("zero", "zero")}).status, 0);
  for (int i = 1; i <= 4; ++i) {
    const std::string word = "word" + std::to_string(i);
    // In the middle of a push: it goes on without, or is aborted, and is never half of both.
    process push({binary_under_test(), "push", cluster.app(word, word), "--node", cluster.data("b"),
                  "--keys", cluster.keys(), "--json"});
    net.unplug(i % 2 == 0 ? "c" : "a");
    const int status = push.wait();
    EXPECT_TRUE(status == 0 || status == 1 || status == 3 || status == 4)
        << status << push.out() << push.err();
    net.heal();
    are_one_soon(cluster, 3, "a");
    const std::string served = cluster.get("a");
    EXPECT_EQ(cluster.get("b"), served);
    EXPECT_EQ(cluster.get("c"), served);
  }
}

}  // namespace
}  // namespace troupe::tests
