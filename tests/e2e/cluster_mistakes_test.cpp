// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong in an operator's hands: Ctrl-C in the middle of an order, keys and tokens that are
// not the right ones. Each says what to do, and nothing is left half done.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

void wait_for(const test_cluster& cluster, std::size_t live) {
  ASSERT_TRUE(test_cluster::comes_true([&] { return cluster.is_level(live); }))
      << cluster.ask({"nodes"}).out;
}

/// The id in "`troupe push --outcome ID` says how it went".
std::string id_in(const std::string& text) {
  constexpr std::string_view before = "--outcome ";
  const auto at = text.find(before);
  return at == std::string::npos ? std::string() : text.substr(at + before.size(), 32);
}

/// `troupe push --outcome ID` says this.
bool outcome_is(const test_cluster& cluster, const std::string& id, const std::string& state,
                const std::string& by = "a") {
  return cluster.ask({"push", "--outcome", id}, by).out.find(state) != std::string::npos;
}

bool says(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

std::vector<std::string> words_of(const test_cluster& cluster, std::vector<std::string> words) {
  words.insert(words.begin(), binary_under_test());
  words.insert(words.end(), {"--node", cluster.data("a"), "--keys", cluster.keys()});
  return words;
}

TEST(cluster_interrupt, of_a_push_lets_it_go_on_and_says_how_to_hear_of_it) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  const std::string mark = (cluster.folder() / "loading").string();
  const std::string gate = (cluster.folder() / "open").string();
  const std::string slow = cluster.app_with(
      "slow", "init_by_lua_block { io.open('" + mark + "', 'w'):close()\n"
              "while true do local gate = io.open('" + gate + "')\n"
              "if gate then gate:close() break end ngx.sleep(0.02) end }\n"
              "server { listen 8080; location / { content_by_lua_block { ngx.say('slow') } } }");
  process push(words_of(cluster, {"push", slow}));
  ASSERT_TRUE(test_cluster::comes_true([&] { return std::filesystem::exists(mark); }));
  push.signal(SIGINT);
  EXPECT_EQ(push.wait(), 130);
  EXPECT_TRUE(says(push.err(), "the order goes on")) << push.err();
  const std::string id = id_in(push.err());
  ASSERT_EQ(id.size(), 32u) << push.err();
  EXPECT_TRUE(outcome_is(cluster, id, "preparing")) << cluster.ask({"push", "--outcome", id}).out;
  EXPECT_EQ(cluster.get("b"), "one\n");
  std::ofstream(gate) << '\n';
  EXPECT_TRUE(test_cluster::comes_true([&] { return outcome_is(cluster, id, "active", "b"); }));
  const finished told = cluster.ask({"push", "--outcome", id});
  EXPECT_EQ(told.status, 0) << told.err;
  EXPECT_TRUE(says(told.out, "release 2")) << told.out;
  EXPECT_TRUE(says(told.out, "b  active")) << told.out;
  for (const std::string name : {"a", "b"}) {
    EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get(name) == "slow\n"; }));
  }
}

TEST(cluster_interrupt, of_a_value_lets_it_go_on_and_says_how_to_hear_of_it) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  // One that is live and hangs holds up the answer, and nothing else.
  cluster.of("b").signal(SIGSTOP);
  process set(words_of(cluster, {"config", "set", "limits.rate", "500"}));
  ASSERT_TRUE(test_cluster::comes_true(
      [&] { return cluster.ask({"config", "get", "limits.rate"}).out == "500\n"; }));
  set.signal(SIGINT);
  cluster.of("b").signal(SIGCONT);
  const int status = set.wait();
  // It may have been done by then.
  ASSERT_TRUE(status == 130 || status == 0) << status << set.err();
  if (status == 130) {
    const std::string id = id_in(set.err());
    ASSERT_EQ(id.size(), 32u) << set.err();
    EXPECT_TRUE(test_cluster::comes_true([&] { return outcome_is(cluster, id, "applied"); }))
        << cluster.ask({"push", "--outcome", id}).err;
  }
  EXPECT_TRUE(test_cluster::comes_true(
      [&] { return cluster.ask({"config", "get", "limits.rate"}, "b").out == "500\n"; }));
}

TEST(cluster_interrupt, before_the_order_was_given_orders_nothing) {
  test_cluster cluster({.nodes = 1});
  wait_for(cluster, 1);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  cluster.of("a").signal(SIGSTOP);
  process push(words_of(cluster, {"push", cluster.app("two", "two")}));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // It waits for the node's first word.
  push.signal(SIGINT);
  EXPECT_EQ(push.wait(), 130);
  EXPECT_FALSE(says(push.err(), "goes on")) << push.err();
  cluster.of("a").signal(SIGCONT);
  EXPECT_EQ(cluster.ask_json({"releases"}).size(), 1u);
  EXPECT_EQ(cluster.get("a"), "one\n");
}

TEST(cluster_keys, that_are_wrong_say_whose_they_are_and_what_to_do) {
  test_cluster cluster({.nodes = 1});
  wait_for(cluster, 1);
  const std::string app = cluster.app("one", "one");
  const std::string other = (cluster.folder() / "other").string();
  ASSERT_EQ(run_troupe({"keys", "init", "--keys", other}).status, 0);
  const json own = json::parse(run_troupe({"keys", "list", "--keys", other, "--json"}).out);
  const std::string key = own["key"].get<std::string>();
  const auto with = [&](const std::string& keys, std::vector<std::string> words) {
    words.insert(words.end(), {"--node", cluster.data("a"), "--keys", keys});
    return run_troupe(std::move(words));
  };
  // Another signing key.
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"push", app}, std::vector<std::string>{"config", "set", "x", "1"}}) {
    const finished stranger = with(other, words);
    EXPECT_EQ(stranger.status, 1) << stranger.out;
    EXPECT_TRUE(says(stranger.err, key)) << stranger.err;
    EXPECT_TRUE(says(stranger.err, "troupe keys trust " + key)) << stranger.err;
    EXPECT_EQ(stranger.out, "");
    // None at all.
    const finished unsigned_one = with((cluster.folder() / "none").string(), words);
    EXPECT_EQ(unsigned_one.status, 1);
    EXPECT_TRUE(says(unsigned_one.err, "not signed")) << unsigned_one.err;
    EXPECT_TRUE(says(unsigned_one.err, "--keys DIR")) << unsigned_one.err;
  }
  // One that was taken back, and does not come back.
  ASSERT_EQ(cluster.ask({"keys", "trust", key, "--role", "push", "--holder", "ci"}).status, 0);
  ASSERT_EQ(with(other, {"push", app}).status, 0);
  // What an administrator alone may do wants that role, and no other.
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"keys", "token"}, std::vector<std::string>{"keys", "revoke", "a"}}) {
    const finished lacking = with(other, words);
    EXPECT_EQ(lacking.status, 1) << lacking.out;
    EXPECT_TRUE(says(lacking.err, "troupe keys trust " + key + " --role admin")) << lacking.err;
    EXPECT_FALSE(says(lacking.err, "no signing.key")) << lacking.err;
  }
  ASSERT_EQ(cluster.ask({"keys", "revoke", key}).status, 0);
  const finished revoked = with(other, {"push", app});
  EXPECT_EQ(revoked.status, 1);
  EXPECT_TRUE(says(revoked.err, "never comes back")) << revoked.err;
  EXPECT_FALSE(says(revoked.err, "keys trust " + key)) << revoked.err;
  const finished again = cluster.ask({"keys", "trust", key, "--role", "push", "--holder", "ci"});
  EXPECT_EQ(again.status, 1);
  EXPECT_TRUE(says(again.err, "make a new one")) << again.err;
  // Another link key: of tools that the cluster does not know, and of a node that the tools do not know.
  const auto over_link = [&](const std::string& keys) {
    return run_troupe({"nodes", "--node", cluster.address(), "--keys", keys});
  };
  const finished unknown = over_link(other);
  EXPECT_EQ(unknown.status, 4);
  EXPECT_TRUE(says(unknown.err, "known_nodes")) << unknown.err;
  std::filesystem::copy_file(cluster.keys() + "/known_nodes", other + "/known_nodes");
  const finished denied = over_link(other);
  EXPECT_EQ(denied.status, 4);
  EXPECT_TRUE(says(denied.err, "does not let our key in")) << denied.err;
  EXPECT_TRUE(says(denied.err, "--keys DIR")) << denied.err;
  EXPECT_EQ(over_link(cluster.keys()).status, 0);
  EXPECT_EQ(cluster.get("a"), "one\n");
}

TEST(cluster_without_controller, orders_fail_soon_and_say_what_to_do) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  ASSERT_EQ(cluster.ask({"push", cluster.app("two", "two")}).status, 0);
  ASSERT_TRUE(test_cluster::comes_true(
      [&] { return cluster.ask_json({"releases"}, 0, "b")[0]["state"] == "active"; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(1'500));  // b has heard a beacon
  EXPECT_EQ(cluster.stop("a", SIGKILL), 128 + SIGKILL);
  const std::string app = cluster.app("three", "three");
  const auto begun = std::chrono::steady_clock::now();
  std::size_t count = 0;
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"push", app}, std::vector<std::string>{"config", "set", "x", "1"},
        std::vector<std::string>{"rollback"}, std::vector<std::string>{"keys", "token"},
        std::vector<std::string>{"keys", "revoke", "a"},
        std::vector<std::string>{"push", "--outcome", std::string(32, 'a')},
        std::vector<std::string>{"push", app, "--timeout", "3"}}) {
    const finished failed = cluster.ask(words, "b");
    EXPECT_EQ(failed.status, 4) << words[0] << failed.out;
    EXPECT_TRUE(says(failed.err, "no controller is heard (last heard ")) << words[0] << failed.err;
    EXPECT_TRUE(says(failed.err, "troupe cluster promote")) << words[0] << failed.err;
    EXPECT_FALSE(says(failed.err, "control.sock")) << words[0] << failed.err;
    ++count;
  }
  const json told = cluster.ask_json({"config", "set", "x", "1"}, 4, "b");
  EXPECT_EQ(told["error"], "no_controller") << told;
  const json status = cluster.ask_json({"cluster", "status"}, 0, "b");
  EXPECT_EQ(status["reached"], false) << status;
  const json nodes = cluster.ask_json({"nodes"}, 0, "b");
  ASSERT_EQ(nodes.size(), 2u) << nodes;
  for (const json& each : nodes) EXPECT_EQ(each["behind"], nullptr) << nodes;
  EXPECT_TRUE(nodes[1]["since"].is_number()) << nodes;
  EXPECT_EQ(nodes[1]["release"], 2) << nodes;
  EXPECT_TRUE(says(cluster.ask({"nodes"}, "b").out, "?")) << cluster.ask({"nodes"}, "b").out;
  const auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_LT(took, std::chrono::seconds(5) * (count + 5));
  // Who waits has it when the controller is there again.
  finished waited{};
  std::thread waiter([&] {
    waited = cluster.ask({"config", "set", "x", "2", "--timeout", "60"}, "b");
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  cluster.start("a");  // By this thread: a process ends with the one that started it.
  waiter.join();
  EXPECT_EQ(waited.status, 0) << waited.err;
}

TEST(cluster_rollback, with_nothing_before_it_is_a_document_too) {
  test_cluster cluster({.nodes = 1});
  wait_for(cluster, 1);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  ASSERT_TRUE(test_cluster::comes_true([&] { return cluster.ask_json({"releases"}).size() == 1u; }));
  const json refused = cluster.ask_json({"rollback"}, 1);
  EXPECT_EQ(refused["error"], "unknown_release") << refused;
  EXPECT_TRUE(says(refused["reason"], "none before it")) << refused;
}

TEST(cluster_token, that_is_wrong_used_or_expired_says_what_to_do) {
  test_cluster cluster({.nodes = 1});
  wait_for(cluster, 1);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  const auto node_words = [&](const std::string& name, const std::string& token) {
    return std::vector<std::string>{binary_under_test(), "node",   "--name",  name,
                                    "--data",            cluster.data(name),  "--keys",
                                    cluster.data("none"), "--port", "0",      "--shards",
                                    "1",                 "--join", cluster.address(),
                                    "--token",           token};
  };
  const auto logs = [](const process& node, const std::string& what) {
    return node.wait_for([&](const std::string&, const std::string& err) { return says(err, what); });
  };
  std::string token = cluster.ask({"keys", "token"}).out;
  token.pop_back();
  process b(node_words("b", token));
  wait_for(cluster, 2);
  // The same again for another node: both find out, in the log and in the readiness document.
  process c(node_words("c", token));
  EXPECT_TRUE(logs(c, "troupe keys token")) << c.err();
  std::string expired = cluster.ask({"keys", "token", "--life", "1s"}).out;
  expired.pop_back();
  std::this_thread::sleep_for(std::chrono::milliseconds(1'100));
  process d(node_words("d", expired));
  EXPECT_TRUE(logs(d, "troupe keys token")) << d.err();
  // Cut on its way.
  const finished cut = run(node_words("e", token.substr(0, token.size() / 2)));
  EXPECT_EQ(cut.status, 1);
  EXPECT_TRUE(says(cut.err, "token")) << cut.err;
  const finished none = run(node_words("f", "hello"));
  EXPECT_EQ(none.status, 1);
  EXPECT_TRUE(says(none.err, "troupe keys token")) << none.err;
  // The one that used it is a member for good: it starts again with it, or without.
  b.signal(SIGQUIT);
  EXPECT_EQ(b.wait(), 0);
  process again(node_words("b", token));
  wait_for(cluster, 2);
  EXPECT_EQ(cluster.ask({"push", cluster.app("two", "two")}).status, 0);
}

}  // namespace
}  // namespace troupe::tests
