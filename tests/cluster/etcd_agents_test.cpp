// SPDX-License-Identifier: Apache-2.0
//
// Agents whose log is in etcd: two that may lead, and a node that knows nothing of etcd.
#include "cluster/agent.hpp"
#include "cluster/agent_keys.hpp"
#include "cluster/key_folder.hpp"
#include "cluster/memory_blobs.hpp"
#include "cluster/sqlite_log.hpp"
#include "tests/cluster/etcd_ends.hpp"
#include "tests/support/etcd_members.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <future>
#include <list>
#include <mutex>
#include <set>

namespace troupe::cluster {
namespace {

class quiet_host final : public host {
 public:
  void prepare(const std::string&, std::uint32_t, const manifest&, done then) override { then({}); }
  void activate(const std::string&, std::uint32_t, const manifest&, done then) override {
    then({});
  }
  void forget(const std::string&, std::uint32_t) override {}
  void config(const std::map<std::string, std::string, std::less<>>& values,
              std::uint64_t) override {
    const std::lock_guard lock(mutex_);
    values_ = values;
  }
  void topic(const topic_message&) override {}
  [[nodiscard]] node_report report() const override { return {}; }
  [[nodiscard]] std::string value(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return values_[key];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> values_;
};

struct one_agent {
  one_agent(const std::string& name, const std::string& keys, agent::options given)
      : how(std::move(given)) {
    how.name = name;
    how.data_folder = data.path();
    how.key_folder = keys;
    how.log = [this](log_level level, std::string_view line) {
      const std::lock_guard lock(mutex);
      log +=
          how.name + ' ' + std::to_string(static_cast<int>(level)) + ' ' + std::string(line) + '\n';
    };
  }
  ~one_agent() {
    if (running && ::testing::Test::HasFailure()) {
      const auto at = running->stands();
      std::cerr << how.name << (at.current ? " is current, " : " is not current, ") << at.at.epoch
                << ' ' << at.at.seq << ", led by " << at.controller << ": " << at.problem << '\n';
    }
    running.reset();
    if (::testing::Test::HasFailure()) std::cerr << log;
  }
  [[nodiscard]] bool start() {
    auto made = agent::start(how, blobs, node);
    EXPECT_TRUE(made) << how.name << ": " << made.error().reason;
    if (!made) return false;
    running = std::move(*made);
    return true;
  }
  [[nodiscard]] bool is_current() const {
    return wait_until([&] { return running->stands().current; });
  }
  [[nodiscard]] bool leads() const {
    return wait_until([&] { return running->stands().controller == how.name; });
  }
  /// Ordered by who has the operator's keys; again until a controller takes it.
  progress set(const std::string& key, const std::string& value) const {
    auto keys = agent_keys::load(how);
    EXPECT_TRUE(keys);
    const signed_order what =
        keys->sign(fresh_order(how.name, config_order{.key = key, .value = value}));
    progress last;
    static_cast<void>(wait_until([&] {
      auto told = std::make_shared<std::promise<progress>>();
      auto result = told->get_future();
      running->submit(what, [told](const progress& so_far) {
        if (so_far.done) told->set_value(so_far);
      });
      last = result.get();
      return last.error != "no_controller";
    }));
    return last;
  }

  tests::temp_dir data;
  memory_blobs blobs;
  quiet_host node;
  agent::options how;
  std::mutex mutex;
  std::string log;
  std::unique_ptr<agent> running;
};

class etcd_agents : public ::testing::TestWithParam<bool> {
 protected:
  etcd_agents() {
    if (GetParam()) {
      keys = home.path() / "keys";
      EXPECT_TRUE(key_folder::make(keys, "operator"));
    }
  }
  /// A controller's, at a port that stays its own, with the one behind it, when it is away.
  agent::options leading(const std::string& store = {}) {
    ports.emplace_back(2);
    return {.listen = "127.0.0.1:" + std::to_string(ports.back().number()),
            .is_controller = true,
            .store = store};
  }
  std::list<tests::free_port> ports;
  tests::temp_dir home;
  std::string keys;
};

TEST_P(etcd_agents, lead_one_after_another_and_lose_nothing) {
  tests::etcd_members etcd;
  one_agent a("a", keys, leading(etcd.store()));
  one_agent b("b", keys, leading(etcd.store()));
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(a.leads());
  ASSERT_TRUE(b.start());
  ASSERT_TRUE(b.is_current());
  EXPECT_EQ(b.running->stands().controller, "a");
  ASSERT_TRUE(wait_until([&] { return b.running->state()->members().contains("b"); }));
  one_agent c("c", keys, {.join = {a.running->address(), b.running->address()}});
  ASSERT_TRUE(c.start());
  ASSERT_TRUE(c.is_current());
  EXPECT_EQ(c.set("color", "red").error, "");
  ASSERT_TRUE(wait_until([&] { return b.node.value("color") == "red"; }));

  a.running.reset();
  ASSERT_TRUE(b.leads());
  EXPECT_EQ(c.set("size", "big").error, "");
  ASSERT_TRUE(wait_until([&] { return c.node.value("size") == "big"; }));
  EXPECT_EQ(c.node.value("color"), "red");
  // What is shown is a copy, made a little later.
  EXPECT_TRUE(wait_until([&] {
    const auto at = c.running->stands();
    return at.controller == "b" && at.at.epoch == 2u;
  }));

  // The first comes back and follows.
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(wait_until([&] { return a.node.value("size") == "big"; }));
  ASSERT_TRUE(a.is_current());
  EXPECT_TRUE(wait_until([&] { return a.running->stands().controller == "b"; }));
}

TEST_P(etcd_agents, begin_with_the_history_that_a_cluster_had) {
  one_agent a("a", keys, leading());
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(a.leads());
  EXPECT_EQ(a.set("color", "red").error, "");
  ASSERT_TRUE(wait_until([&] { return a.node.value("color") == "red"; }));
  a.running.reset();

  tests::etcd_members etcd;
  a.how.store = etcd.store();
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(wait_until([&] { return a.running->stands().at.epoch == 2; }));
  EXPECT_EQ(a.set("size", "big").error, "");
  a.running.reset();

  one_agent b("b", keys, leading(etcd.store()));
  ASSERT_TRUE(b.start());
  ASSERT_TRUE(b.leads());
  ASSERT_TRUE(wait_until([&] { return b.node.value("size") == "big"; }));
  EXPECT_EQ(b.node.value("color"), "red");
}

TEST_P(etcd_agents, leave_the_beginning_to_who_has_the_history) {
  one_agent a("a", keys, leading());
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(a.leads());
  EXPECT_EQ(a.set("color", "red").error, "");
  ASSERT_TRUE(wait_until([&] { return a.node.value("color") == "red"; }));
  a.running.reset();

  tests::etcd_members etcd;
  one_agent b("b", keys, leading(etcd.store()));
  b.how.join = {a.how.listen};
  ASSERT_TRUE(b.start());
  ASSERT_TRUE(wait_until(
      [&] { return b.running->stands().problem.find("no history yet") != std::string::npos; }));
  a.how.store = etcd.store();
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(wait_until([&] { return b.node.value("color") == "red"; }));
  EXPECT_TRUE(b.is_current());
  EXPECT_EQ(b.running->stands().controller, "a");
  EXPECT_TRUE(wait_until([&] { return b.running->stands().problem.empty(); }));
}

/// The keys of the values whose changes this agent's disk keeps aside.
std::set<std::string> kept_aside(const one_agent& of) {
  std::set<std::string> result;
  const auto log = sqlite_log::open(of.data.path() / "cluster.db");
  EXPECT_TRUE(log);
  if (!log) return result;
  const auto all = (*log)->aside();
  EXPECT_TRUE(all);
  if (!all) return result;
  for (const change& one : *all) {
    const auto what = order::decode(one.ordered.bytes);
    if (!what) continue;
    if (const auto* value = std::get_if<config_order>(&what->body)) result.insert(value->key);
  }
  return result;
}

TEST_P(etcd_agents, that_are_ahead_of_a_restored_etcd_go_back_to_it_and_keep_what_is_lost_aside) {
  tests::etcd_members etcd;
  one_agent a("a", keys, leading(etcd.store()));
  one_agent b("b", keys, leading(etcd.store()));
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(a.leads());
  ASSERT_TRUE(b.start());
  one_agent c("c", keys, {.join = {a.running->address(), b.running->address()}});
  ASSERT_TRUE(c.start());
  ASSERT_TRUE(b.is_current());
  ASSERT_TRUE(c.is_current());
  ASSERT_TRUE(wait_until([&] { return b.running->state()->members().contains("b"); }));
  EXPECT_EQ(c.set("color", "red").error, "");
  etcd.back_up();
  // Another has led since: an epoch that the backup knows nothing of.
  a.running.reset();
  ASSERT_TRUE(b.leads());
  EXPECT_EQ(c.set("color", "blue").error, "");
  EXPECT_EQ(c.set("size", "big").error, "");
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(
      wait_until([&] { return a.node.value("size") == "big" && c.node.value("size") == "big"; }));
  const position ahead = c.running->stands().at;
  ASSERT_EQ(ahead.epoch, 2u);

  etcd.restore();
  EXPECT_EQ(c.set("shape", "round").error, "");
  for (one_agent* each : {&a, &b, &c}) {
    EXPECT_TRUE(wait_until([&] { return each->node.value("shape") == "round"; })) << each->how.name;
    EXPECT_EQ(each->node.value("color"), "red") << each->how.name;
    EXPECT_EQ(each->node.value("size"), "") << each->how.name;
    EXPECT_TRUE(each->is_current()) << each->how.name;
  }
  EXPECT_TRUE(wait_until([&] {
    const position at = a.running->stands().at;
    return at.epoch > ahead.epoch && b.running->stands().at == at && c.running->stands().at == at;
  }));
  // What each of them had acknowledged, and is no part of the history any more.
  for (one_agent* each : {&a, &b, &c}) {
    each->running.reset();
    EXPECT_EQ(kept_aside(*each), (std::set<std::string>{"color", "size"})) << each->how.name;
  }
}

INSTANTIATE_TEST_SUITE_P(, etcd_agents, ::testing::Bool(), [](const auto& kind) {
  return std::string(kind.param ? "with_keys" : "without_keys");
});

}  // namespace
}  // namespace troupe::cluster
