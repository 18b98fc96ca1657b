// SPDX-License-Identifier: Apache-2.0
//
// A cluster whose history is in etcd, as an operator meets it: three members of Debian's etcd, two
// controllers and a node; members, and the controller that leads, are killed in the middle of a
// push.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/support/etcd_members.hpp"
#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

class etcd_cluster : public ::testing::Test {
 protected:
  etcd_cluster() {
    const std::string store = etcd.store();
    const std::string second = "127.0.0.1:" + std::to_string(ports.number());
    cluster = std::make_unique<test_cluster>(test_cluster::options{
        .flags = {{"a", {"--store", store, "--label", "zone=first"}},
                  {"b", {"--controller", "--listen", second, "--store", store}},
                  {"c", {"--join", second}}}});
  }

  /// All nodes are live and level, as node `by` hears from the controller, which is `leader`.
  [[nodiscard]] bool are_level(const std::string& leader, const std::string& by,
                               std::size_t count = 3) const {
    return test_cluster::comes_true([&] {
      const json all = json::parse(cluster->ask({"nodes", "--json"}, by).out, nullptr, false);
      if (!all.is_array()) return false;
      return count <=
                 static_cast<std::size_t>(std::count_if(
                     all.begin(), all.end(),
                     [](const json& one) { return one["live"] == true && one["behind"] == 0; })) &&
             std::any_of(all.begin(), all.end(), [&](const json& one) {
               return one["name"] == leader && one["role"] == "controller";
             });
    });
  }
  /// An app that says this word, and that no node has loaded before the gate is opened.
  [[nodiscard]] std::string gated_app(const std::string& word) const {
    return cluster->app_with(
        word,
        "init_by_lua_block {\n"
        "io.open('" +
            mark(word) +
            "', 'w'):close()\n"
            "while true do local gate = io.open('" +
            gate(word) +
            "')\n"
            "if gate then gate:close() break end os.execute('sleep 0.05') end }\n"
            "server { listen 8080; location / { content_by_lua_block { ngx.say('" +
            word + "') } } }");
  }
  /// Begins a push of a gated app by a thread; when this returns, nodes are loading it.
  void begin_push(const std::string& word, const std::string& by) {
    pusher = std::thread([this, word, by] {
      pushed = cluster->ask({"push", gated_app(word), "--json"}, by);
    });
    EXPECT_TRUE(test_cluster::comes_true([&] { return std::filesystem::exists(mark(word)); }));
  }
  json end_push(const std::string& word) {
    std::ofstream(gate(word)) << '\n';
    pusher.join();
    return json::parse(pushed.out, nullptr, false);
  }
  [[nodiscard]] std::string mark(const std::string& word) const {
    return (cluster->folder() / (word + ".loading")).string();
  }
  [[nodiscard]] std::string gate(const std::string& word) const {
    return (cluster->folder() / (word + ".open")).string();
  }
  [[nodiscard]] bool serves(const std::string& name, const std::string& word) const {
    return test_cluster::comes_true([&] { return cluster->get(name) == word + "\n"; });
  }

  etcd_members etcd{3};
  free_port ports{2};
  std::unique_ptr<test_cluster> cluster;
  std::thread pusher;
  finished pushed;
};

TEST_F(etcd_cluster, finishes_a_push_while_any_member_of_etcd_is_killed) {
  ASSERT_TRUE(are_level("a", "c"));
  // One of the three leads the others.
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string word = "word" + std::to_string(i);
    begin_push(word, i % 2 == 0 ? "c" : "b");
    etcd.kill(i);
    const json done = end_push(word);
    EXPECT_EQ(pushed.status, 0) << pushed.out << pushed.err;
    EXPECT_EQ(done["state"], "active") << done;
    EXPECT_EQ(done["release"], i + 1);
    for (const std::string name : {"a", "b", "c"}) EXPECT_TRUE(serves(name, word)) << name;
    EXPECT_EQ(cluster->ask({"config", "set", "last", word}, "c").status, 0);
    etcd.start(i);
    etcd.wait();
  }
  EXPECT_EQ(cluster->ask_json({"cluster", "status"}, 0, "c")["controller"], "a");
  EXPECT_EQ(cluster->ask_json({"releases"}, 0, "c").size(), 3u);
}

TEST_F(etcd_cluster, is_led_by_the_other_controller_when_the_one_that_leads_is_killed) {
  ASSERT_TRUE(are_level("a", "c"));
  ASSERT_EQ(cluster->ask({"push", cluster->app("one", "one")}, "c").status, 0);
  begin_push("cut", "c");
  EXPECT_EQ(cluster->stop("a", SIGKILL), 128 + SIGKILL);
  // Whoever leads next ends what was begun: nobody can know that all had it ready. Who pushed may
  // have been told before that no controller is heard.
  const json cut = end_push("cut");
  EXPECT_TRUE(pushed.status == 4 || (pushed.status == 1 && cut["state"] == "aborted"))
      << pushed.status << pushed.out << pushed.err;
  ASSERT_TRUE(are_level("b", "c", 2));
  for (const std::string name : {"b", "c"}) EXPECT_EQ(cluster->get(name), "one\n");

  const json next = cluster->ask_json({"push", cluster->app("two", "two")}, 0, "c");
  EXPECT_EQ(next["state"], "active") << next;
  for (const std::string name : {"b", "c"}) EXPECT_TRUE(serves(name, "two")) << name;

  // The first comes back, follows, and is led to where the others are.
  cluster->start("a");
  EXPECT_TRUE(serves("a", "two"));
  ASSERT_TRUE(are_level("b", "a"));
  EXPECT_EQ(cluster->ask({"push", cluster->app("three", "three")}, "a").status, 0);
  for (const std::string name : {"a", "b", "c"}) EXPECT_TRUE(serves(name, "three")) << name;

  // One that ends by itself hands over at once; an order to promote somebody is none of etcd's.
  const finished asked = cluster->ask({"cluster", "promote", "a", "--yes"}, "b");
  EXPECT_EQ(asked.status, 1) << asked.out << asked.err;
  EXPECT_NE((asked.out + asked.err).find("etcd says who leads"), std::string::npos) << asked.err;
  EXPECT_EQ(cluster->stop("b"), 0);
  ASSERT_TRUE(are_level("a", "c", 2));
  EXPECT_EQ(cluster->ask({"push", cluster->app("four", "four")}, "c").status, 0);
  EXPECT_TRUE(serves("c", "four"));
}

TEST_F(etcd_cluster, serves_on_without_etcd_and_goes_on_with_it) {
  ASSERT_TRUE(are_level("a", "c"));
  ASSERT_EQ(cluster->ask({"push", cluster->app("one", "one")}, "c").status, 0);
  for (std::size_t i = 0; i < 3; ++i) etcd.kill(i);
  const finished refused = cluster->ask({"config", "set", "x", "1", "--timeout", "30"}, "a");
  EXPECT_EQ(refused.status, 4) << refused.out << refused.err;
  for (const std::string name : {"a", "b", "c"}) EXPECT_TRUE(serves(name, "one")) << name;
  // A controller that has served before starts without etcd, too.
  EXPECT_EQ(cluster->stop("a"), 0);
  cluster->start("a");
  EXPECT_TRUE(serves("a", "one"));
  for (std::size_t i = 0; i < 3; ++i) etcd.start(i);
  etcd.wait();
  ASSERT_TRUE(test_cluster::comes_true([&] {
    return cluster->ask({"push", cluster->app("two", "two")}, "c").status == 0;
  }));
  EXPECT_TRUE(serves("c", "two"));
}

TEST_F(etcd_cluster, contents_that_only_the_leader_ran_are_not_lost_with_its_disk) {
  ASSERT_TRUE(are_level("a", "c"));
  const json pushed =
      cluster->ask_json({"push", cluster->app("one", "one"), "--to", "zone=first"}, 0, "c");
  EXPECT_EQ(pushed["nodes"].size(), 1u) << pushed;
  EXPECT_TRUE(serves("a", "one"));
  // They are there when the push is acknowledged, and before.
  const finished there = cluster->ask({"diff", "0", "1"}, "b");
  EXPECT_EQ(there.status, 0) << there.err;
  EXPECT_NE(there.out.find("ngx.say('one')"), std::string::npos) << there.out;
  EXPECT_EQ(cluster->stop("a", SIGKILL), 128 + SIGKILL);
  std::filesystem::remove_all(cluster->data("a"));
  ASSERT_TRUE(are_level("b", "c", 2));
  cluster->start("d", {"--join", "127.0.0.1:" + std::to_string(ports.number()), "--label", "zone=first"});
  EXPECT_TRUE(serves("d", "one")) << cluster->of("d").err();
}

TEST_F(etcd_cluster, a_leader_that_was_paused_for_longer_than_its_lease_follows) {
  ASSERT_TRUE(are_level("a", "c"));
  ASSERT_EQ(cluster->ask({"push", cluster->app("one", "one")}, "c").status, 0);
  cluster->of("a").signal(SIGSTOP);
  ASSERT_TRUE(are_level("b", "c", 2));
  ASSERT_EQ(cluster->ask({"push", cluster->app("two", "two")}, "c").status, 0);
  cluster->of("a").signal(SIGCONT);
  ASSERT_TRUE(are_level("b", "a"));
  EXPECT_TRUE(serves("a", "two"));
  EXPECT_EQ(cluster->ask({"config", "set", "word", "late"}, "a").status, 0);
  EXPECT_EQ(cluster->ask({"config", "get", "word"}, "c").out, "late\n");
  EXPECT_EQ(cluster->ask_json({"cluster", "status"}, 0, "a")["controller"], "b");
}

TEST(etcd_store, that_cannot_be_used_is_refused_with_what_to_do) {
  temp_dir folder;
  const free_port nobody;
  const free_port own;
  const auto start = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"node", "--name", "x", "--data", (folder.path() / "x").string(),
                                 "--keys", (folder.path() / "none").string()});
    const finished refused = run_troupe(std::move(words));
    EXPECT_EQ(refused.status, 1) << refused.out << refused.err;
    return refused.err;
  };
  const std::string at = "127.0.0.1:" + std::to_string(own.number());
  const std::string store = "etcd://127.0.0.1:" + std::to_string(nobody.number());
  const std::string away = start({"--controller", "--listen", at, "--store", store});
  EXPECT_NE(away.find(store.substr(sizeof "etcd://" - 1)), std::string::npos) << away;
  EXPECT_NE(away.find("etcdctl endpoint health"), std::string::npos) << away;
  const std::string wrong =
      start({"--controller", "--listen", at, "--store", "http://127.0.0.1:1"});
  EXPECT_NE(wrong.find("write etcd://"), std::string::npos) << wrong;
  const std::string node = start({"--join", at, "--store", store});
  EXPECT_NE(node.find("add --controller"), std::string::npos) << node;
  const std::string relay =
      start({"--controller", "--relay", "--listen", at, "--join", at, "--store", store});
  EXPECT_NE(relay.find("--relay"), std::string::npos) << relay;
  folder.write("secret", "etcd://one:secret@a\n");
  const std::string file =
      start({"--controller", "--listen", at, "--store", "@" + (folder.path() / "secret").string()});
  EXPECT_NE(file.find("it has no port"), std::string::npos) << file;
  EXPECT_EQ(file.find("secret@"), std::string::npos) << file;
}

}  // namespace
}  // namespace troupe::tests
