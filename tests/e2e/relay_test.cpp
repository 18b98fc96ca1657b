// SPDX-License-Identifier: Apache-2.0
//
// Relays as processes of their own, with nodes below them, and a relay below a relay: they take
// part in all that a cluster does, and one that is killed or stands still delays nobody but those
// below it.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/support/gated_app.hpp"
#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

/// Controller a, relay r below it, relay s; nodes as the test starts them.
class relays : public ::testing::Test {
 protected:
  static std::string at(const free_port& ports) {
    return "127.0.0.1:" + std::to_string(ports.number());
  }
  /// @param s_joins  empty: the controller.
  void begin(const std::map<std::string, std::vector<std::string>>& nodes,
             const std::vector<std::string>& s_joins = {}) {
    auto joins = nodes;
    if (!s_joins.empty()) joins["s"] = s_joins;
    cluster = std::make_unique<test_cluster>(test_cluster::options{.nodes = 1, .joins = joins});
    cluster->start("r", {"--relay", "--listen", r});
    cluster->start("s", {"--relay", "--listen", s});
    for (const auto& [name, uppers] : nodes) cluster->start(name);
    wait_for(3 + nodes.size());
    ASSERT_EQ(cluster->ask({"push", cluster->app("one", "one")}).status, 0);
  }
  void wait_for(std::size_t live, const std::string& by = "a") {
    ASSERT_TRUE(test_cluster::comes_true([&] { return cluster->is_level(live, by); }))
        << cluster->ask({"nodes"}, by).out;
  }
  [[nodiscard]] bool serves(const std::string& name, const std::string& word) const {
    return test_cluster::comes_true([&] { return cluster->get(name) == word + "\n"; });
  }
  [[nodiscard]] static std::string state_of(const json& order, const std::string& node) {
    for (const json& each : order["nodes"]) {
      if (each["name"] == node) return each["state"].get<std::string>();
    }
    return {};
  }

  /// Those on which it is active.
  [[nodiscard]] static std::set<std::string> reached(const json& order) {
    std::set<std::string> result;
    for (const json& each : order["nodes"]) {
      if (each["state"] == "active") result.insert(each["name"].get<std::string>());
    }
    return result;
  }

  const free_port r_ports{2};
  const free_port s_ports{2};
  const std::string r = at(r_ports);
  const std::string s = at(s_ports);
  std::unique_ptr<test_cluster> cluster;
};

TEST_F(relays, nodes_below_one_and_below_two_take_part_in_everything) {
  begin({{"c", {r}}, {"d", {s}}}, {r});
  // Pushed from the lowest, and told of each.
  const json pushed = cluster->ask_json({"push", cluster->app("two", "two")}, 0, "d");
  ASSERT_EQ(pushed["nodes"].size(), 5u) << pushed;
  for (const std::string name : {"a", "r", "s", "c", "d"}) {
    EXPECT_EQ(state_of(pushed, name), "active") << pushed;
    EXPECT_TRUE(serves(name, "two")) << name;
  }
  const json set = cluster->ask_json({"config", "set", "word", "heard"}, 0, "c");
  EXPECT_EQ(set["nodes"].size(), 5u) << set;
  for (const std::string name : {"a", "r", "s", "c", "d"}) {
    EXPECT_TRUE(test_cluster::comes_true([&] {
      return cluster->ask({"config", "get", "word"}, name).out == "heard\n";
    })) << name;
  }
  // Seen from below as from above.
  for (const std::string by : {"a", "d"}) {
    const json all = cluster->ask_json({"nodes"}, 0, by);
    ASSERT_EQ(all.size(), 5u) << all;
    for (const json& each : all) {
      EXPECT_EQ(each["live"], true) << each;
      EXPECT_EQ(each["role"], each["name"] == "a"                          ? "controller"
                              : each["name"] == "r" || each["name"] == "s" ? "relay"
                                                                           : "node");
    }
  }
  // One of them refuses, and nothing changes anywhere.
  const std::string picky = cluster->app_with(
      "picky",
      "init_by_lua_block { if troupe.cluster.self().name == 'd' then error('not here') end }\n"
      "server { listen 8080; location / { return 200 picky; } }");
  const json refused = cluster->ask_json({"push", picky}, 1);
  EXPECT_EQ(state_of(refused, "d"), "refused") << refused;
  for (const std::string name : {"a", "c", "d"}) EXPECT_EQ(cluster->get(name), "two\n") << name;
  const json back = cluster->ask_json({"rollback"}, 0, "d");
  EXPECT_EQ(back["nodes"].size(), 5u) << back;
  EXPECT_TRUE(serves("d", "one"));
  for (const std::string name : {"d", "c", "s", "r", "a"})
    EXPECT_EQ(cluster->stop(name), 0) << name;
}

TEST_F(relays, whose_relay_is_killed_in_the_middle_of_a_push_goes_to_another_or_to_the_controller) {
  // c can go to the other relay, d to the controller.
  begin({{"c", {r, s}}, {"d", {r, "a"}}});
  const gated_app two(*cluster, "two", {"c", "d"});
  process push(push_words(*cluster, two.path(), "c"));
  ASSERT_TRUE(two.is_loading("c"));
  ASSERT_TRUE(two.is_loading("d"));
  EXPECT_EQ(cluster->stop("r", SIGKILL), 128 + SIGKILL);
  two.open();
  // r was to be ready, too, and may have been: then it is done, else aborted; c and d say so in any
  // case.
  const int status = push.wait();
  const json said = json::parse(push.out(), nullptr, false);
  EXPECT_TRUE(status == 0 || status == 1 || status == 3) << status << push.out() << push.err();
  const std::string word = status == 1 ? "one" : "two";
  wait_for(4);
  for (const std::string name : {"a", "s", "c", "d"})
    EXPECT_TRUE(serves(name, word)) << name << said;
  EXPECT_EQ(cluster->shown("r")["live"], false);
  // All goes on without it.
  const json pushed = cluster->ask_json({"push", cluster->app("three", "three")}, 0, "d");
  EXPECT_EQ(pushed["nodes"].size(), 5u) << pushed;
  EXPECT_EQ(reached(pushed), (std::set<std::string>{"a", "c", "d", "s"})) << pushed;
  EXPECT_TRUE(serves("c", "three"));
  cluster->start("r", {"--relay", "--listen", r});
  wait_for(5);
  EXPECT_TRUE(serves("r", "three"));
}

TEST_F(relays, one_that_stands_still_holds_back_those_below_it_until_they_go_elsewhere) {
  begin({{"c", {r}}, {"d", {s}}});
  // So that their pace is known: a node whose pace is not is waited for up to a second.
  for (int i = 0; i < 12; ++i) {
    ASSERT_EQ(cluster->ask({"config", "set", "count", std::to_string(i)}).status, 0);
  }
  // Now c hears nothing, though its link holds.
  cluster->of("r").signal(SIGSTOP);
  const auto begun = std::chrono::steady_clock::now();
  const json set = cluster->ask_json({"config", "set", "count", "held"});
  EXPECT_EQ(state_of(set, "d"), "active") << set;
  EXPECT_EQ(state_of(set, "r"), "behind") << set;
  EXPECT_EQ(state_of(set, "c"), "behind") << set;
  EXPECT_EQ(cluster->ask({"config", "get", "count"}, "d").out, "held\n");
  EXPECT_EQ(cluster->get("c"), "one\n");
  // Three missing beacons, and it links to who leads, whose address it has from the history.
  EXPECT_TRUE(test_cluster::comes_true([&] {
    return cluster->ask({"config", "get", "count"}, "c").out == "held\n";
  }));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5 * 5s);
  wait_for(4);
  EXPECT_EQ(cluster->shown("r")["live"], false) << cluster->shown("r");
  const json pushed = cluster->ask_json({"push", cluster->app("two", "two")});
  EXPECT_EQ(pushed["nodes"].size(), 5u) << pushed;
  EXPECT_EQ(reached(pushed), (std::set<std::string>{"a", "c", "d", "s"})) << pushed;
  EXPECT_TRUE(serves("c", "two"));
  EXPECT_EQ(cluster->get("d"), "two\n");
  // What it had in its queues is old news by now, for itself and for those below.
  cluster->of("r").signal(SIGCONT);
  wait_for(5);
  EXPECT_TRUE(serves("r", "two"));
  for (const std::string name : {"r", "c", "d"}) {
    EXPECT_EQ(cluster->ask({"config", "get", "count"}, name).out, "held\n") << name;
  }
  EXPECT_EQ(cluster->ask_json({"push", cluster->app("three", "three")}, 0, "c")["nodes"].size(),
            5u);
}

}  // namespace
}  // namespace troupe::tests
