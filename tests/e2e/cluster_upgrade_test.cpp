// SPDX-License-Identifier: Apache-2.0
//
// Another binary takes over from a node of a cluster: a plain one, the controller, one that binds a
// readiness endpoint; and what does not start changes nothing. No request fails meanwhile.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/test_client.hpp"
#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

/// Asks a listener again and again, each time over a new connection.
class asker {
 public:
  explicit asker(endpoint where) : thread_([this, where] {
    while (!ends_) {
      test_client client(where);
      const auto answer = client.get("/");
      ++(answer.status == 200 ? good_ : bad_);
    }
  }) {}
  ~asker() { end(); }
  void end() {
    ends_ = true;
    if (thread_.joinable()) thread_.join();
  }
  void pass(int more) const {
    const int until = good_ + more;
    EXPECT_TRUE(test_cluster::comes_true([&] { return good_ >= until; }));
  }
  [[nodiscard]] int failed() const { return bad_; }

 private:
  std::atomic<bool> ends_ = false;
  std::atomic<int> good_ = 0;
  std::atomic<int> bad_ = 0;
  std::thread thread_;
};

class cluster_upgrade : public ::testing::Test {
 protected:
  void SetUp() override { prctl(PR_SET_CHILD_SUBREAPER, 1); }
  void TearDown() override {
    for (const pid_t pid : processes_) {
      if (wait_for_exit(pid, std::chrono::milliseconds(0))) continue;
      kill(pid, SIGKILL);
      wait_for_exit(pid, patience);
    }
  }
  [[nodiscard]] static bool are_level(const test_cluster& cluster, std::size_t count) {
    const json all = json::parse(cluster.ask({"nodes", "--json"}).out, nullptr, false);
    if (!all.is_array() || all.size() != count) return false;
    for (const json& each : all) {
      if (each["live"] != true || each["behind"] != 0) return false;
    }
    return true;
  }
  [[nodiscard]] static pid_t serving(const test_cluster& cluster, const std::string& node) {
    const json status = json::parse(cluster.ask({"status", "--json"}, node).out, nullptr, false);
    return status.contains("pid") ? status["pid"].get<pid_t>() : -1;
  }
  pid_t upgrade(const test_cluster& cluster, const std::string& node) {
    const json done = cluster.ask_json({"upgrade"}, 0, node);
    const pid_t next = done.contains("pid") ? done["pid"].get<pid_t>() : -1;
    if (next > 0) processes_.push_back(next);
    return next;
  }
  static std::string app(const test_cluster& cluster, const std::string& word) {
    return cluster.app_with(word, "server { listen 8080; location / { content_by_lua_block { "
                                  "ngx.say('" + word + "') } } "
                                  "location /pid { content_by_lua_block { "
                                  "ngx.print(ngx.worker.pid()) } } }");
  }
  std::vector<pid_t> processes_;
};

TEST_F(cluster_upgrade, a_node_and_then_the_controller_are_replaced_and_no_request_fails) {
  const free_port health;
  const std::string ready = "127.0.0.1:" + std::to_string(health.number());
  test_cluster cluster({.nodes = 2, .flags = {{"a", {"--ready", ready}}}});
  ASSERT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, 2); }));
  ASSERT_EQ(cluster.ask({"push", app(cluster, "one")}).status, 0);
  ASSERT_EQ(cluster.ask({"push", app(cluster, "shop"), "--app", "shop"}).status, 0);
  ASSERT_EQ(cluster.ask({"config", "set", "kept", "yes"}).status, 0);
  test_client health_check(endpoint{.port = health.number()});
  for (const std::string name : {"b", "a"}) {
    const auto listeners = cluster.listeners(name);
    ASSERT_EQ(listeners.size(), 2u);
    asker one(listeners[0]);
    asker shop(listeners[1]);
    one.pass(5);
    const pid_t next = upgrade(cluster, name);
    EXPECT_EQ(cluster.of(name).wait(), 0) << cluster.of(name).err();
    one.pass(5);
    shop.pass(5);
    one.end();
    shop.end();
    EXPECT_EQ(one.failed() + shop.failed(), 0);
    EXPECT_EQ(test_client(listeners[0]).get("/pid").body, std::to_string(next));
    EXPECT_EQ(test_client(listeners[1]).get("/").body, "shop\n");
    EXPECT_EQ(serving(cluster, name), next);
    EXPECT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, 2); }));
    EXPECT_TRUE(test_cluster::comes_true([&] { return health_check.get("/").status == 200; }));
  }
  // The new ones take part: as controller, and as who hears of it.
  const json pushed = cluster.ask_json({"push", app(cluster, "two")}, 0, "b");
  EXPECT_EQ(pushed["nodes"].size(), 2u) << pushed;
  EXPECT_EQ(pushed["state"], "active") << pushed;
  EXPECT_EQ(cluster.ask({"config", "get", "kept"}, "b").out, "yes\n");
  const json status = cluster.ask_json({"cluster", "status"}, 0, "b");
  EXPECT_EQ(status["epoch"], 1) << status;
  EXPECT_EQ(status["controller"], "a") << status;
}

TEST_F(cluster_upgrade, usr2_does_it_too) {
  test_cluster cluster({.nodes = 2});
  ASSERT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, 2); }));
  ASSERT_EQ(cluster.ask({"push", app(cluster, "one")}).status, 0);
  asker one(cluster.listeners("b")[0]);
  one.pass(5);
  cluster.of("b").signal(SIGUSR2);
  EXPECT_EQ(cluster.of("b").wait(), 0);
  processes_.push_back(serving(cluster, "b"));
  one.pass(5);
  one.end();
  EXPECT_EQ(one.failed(), 0);
  EXPECT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, 2); }));
}

TEST_F(cluster_upgrade, what_does_not_serve_changes_nothing) {
  test_cluster cluster({.nodes = 2});
  ASSERT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, 2); }));
  ASSERT_EQ(cluster.ask({"push", app(cluster, "one")}).status, 0);
  const std::string script = cluster.data("other");
  // It takes part in the cluster, and then ends.
  write_file(script, "#!/bin/sh\nunset TROUPE_INHERITED\nexit 7\n");
  chmod(script.c_str(), 0755);
  for (const std::string name : {"b", "a"}) {
    asker one(cluster.listeners(name)[0]);
    one.pass(5);
    for (const std::string& binary : {std::string("/bin/false"), script, cluster.data("nothing")}) {
      const finished refused = cluster.ask({"upgrade", "--binary", binary}, name);
      EXPECT_EQ(refused.status, 1) << refused.out;
      EXPECT_NE(refused.err.find("this process serves on"), std::string::npos) << refused.err;
    }
    one.pass(5);
    one.end();
    EXPECT_EQ(one.failed(), 0);
    EXPECT_EQ(serving(cluster, name), cluster.of(name).pid());
    EXPECT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, 2); }));
    EXPECT_EQ(cluster.ask({"push", app(cluster, "of-" + name)}, name).status, 0);
    EXPECT_EQ(cluster.get("b"), "of-" + name + "\n");
  }
  for (const std::string name : {"b", "a"}) EXPECT_EQ(cluster.stop(name), 0);
}

TEST_F(cluster_upgrade, a_push_is_not_lost_in_between) {
  test_cluster cluster({.nodes = 3});
  ASSERT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, 3); }));
  ASSERT_EQ(cluster.ask({"push", app(cluster, "zero")}).status, 0);
  // By c, while b is replaced: it goes on without b, or with it, and b is level with it in the end.
  for (int i = 0; i < 3; ++i) {
    const std::string word = "word" + std::to_string(i);
    process push({binary_under_test(), "push", app(cluster, word), "--node", cluster.data("c"), "--keys",
                  cluster.keys()});
    EXPECT_GT(upgrade(cluster, "b"), 0);
    const int status = push.wait();
    EXPECT_TRUE(status == 0 || status == 3 || status == 1) << status << push.err();
    EXPECT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, 3); }));
    const std::string served = cluster.get("a");
    if (status != 1) EXPECT_EQ(served, word + "\n");
    const endpoint where = cluster.listeners("b")[0];
    EXPECT_TRUE(test_cluster::comes_true([&] { return test_client(where).get("/").body == served; }));
  }
}

}  // namespace
}  // namespace troupe::tests
