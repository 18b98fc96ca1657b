// SPDX-License-Identifier: Apache-2.0
//
// How long things may take by the protocol, whatever the machine: each bound is asserted at five
// times its value, which is still far below what it would take if the mechanism that promises it
// did not work and a time-out behind it did.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

void wait_for(const test_cluster& cluster, std::size_t live, const std::string& by = "a") {
  ASSERT_TRUE(test_cluster::comes_true([&] { return cluster.is_level(live, by); }))
      << cluster.ask({"nodes"}, by).out;
}

TEST(cluster_bound, the_links_of_a_revoked_node_are_cut_within_a_second) {
  test_cluster cluster;
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  // Whoever revokes it is answered later: b can acknowledge nothing any more, and is waited for.
  const auto begun = clock::now();
  process revoke({binary_under_test(), "keys", "revoke", "b", "--node", cluster.data("a"), "--keys",
                  cluster.keys()});
  EXPECT_TRUE(cluster.of("b").wait_for([](const std::string&, const std::string& err) {
    return err.find("does not let our key in") != std::string::npos;
  })) << cluster.of("b").err();
  EXPECT_LT(clock::now() - begun, 5s);
  EXPECT_EQ(revoke.wait(), 0) << revoke.err();
  // It hears nothing more, serves on, and nobody waits for it.
  EXPECT_EQ(cluster.ask({"config", "set", "word", "secret"}).status, 0);
  EXPECT_EQ(cluster.ask({"config", "get", "word"}, "c").out, "secret\n");
  EXPECT_NE(cluster.ask({"config", "get", "word"}, "b").out, "secret\n");
  EXPECT_EQ(cluster.get("b"), "one\n");
  const json pushed = cluster.ask_json({"push", cluster.app("two", "two")});
  EXPECT_EQ(pushed["nodes"].size(), 2u) << pushed;
  EXPECT_EQ(cluster.get("b"), "one\n");
}

TEST(cluster_bound, a_node_that_is_gone_is_shown_as_gone_after_three_beacons) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  const auto begun = clock::now();
  EXPECT_EQ(cluster.stop("b", SIGKILL), 128 + SIGKILL);
  ASSERT_TRUE(test_cluster::comes_true([&] { return cluster.shown("b")["live"] == false; }));
  EXPECT_LT(clock::now() - begun, 5 * 3500ms);
}

TEST(cluster_bound, a_controller_that_is_back_has_its_nodes_level_within_5_s) {
  test_cluster cluster;
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  EXPECT_EQ(cluster.stop("a", SIGKILL), 128 + SIGKILL);
  // Long enough that their intervals between two tries are the longest.
  std::this_thread::sleep_for(8s);
  cluster.start("a");
  const auto begun = clock::now();
  wait_for(cluster, 3);
  EXPECT_LT(clock::now() - begun, 5 * 5s);
  EXPECT_EQ(cluster.ask({"config", "set", "word", "heard"}).status, 0);
  EXPECT_EQ(cluster.ask({"config", "get", "word"}, "c").out, "heard\n");
}

TEST(cluster_bound, a_live_node_that_hangs_holds_up_a_push_until_its_prepare_deadline) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  const std::string hangs = cluster.app_with(
      "hangs",
      "lua_init_timeout 100s;\n"
      "init_by_lua_block { if troupe.cluster.self().name == 'b' then ngx.sleep(90) end }\n"
      "server { listen 8080; location / { return 200 hangs; } }");
  const auto begun = clock::now();
  const json said = cluster.ask_json({"push", hangs, "--timeout", "80"}, 1);
  EXPECT_LT(clock::now() - begun, 5 * 10s);
  EXPECT_GE(clock::now() - begun, 9s);
  EXPECT_EQ(said["state"], "aborted") << said;
  EXPECT_NE(said["reason"].get<std::string>().find("b"), std::string::npos) << said;
  EXPECT_EQ(cluster.get("a"), "one\n");
  EXPECT_EQ(cluster.stop("b", SIGKILL), 128 + SIGKILL);
}

}  // namespace
}  // namespace troupe::tests
