// SPDX-License-Identifier: Apache-2.0
//
// Real agents over loopback: each with its thread, sockets, keys and disk, and a host that only
// notes what it is told.
#include "cluster/agent.hpp"
#include "cluster/agent_keys.hpp"
#include "cluster/join_token.hpp"
#include "cluster/manifest.hpp"
#include "cluster/memory_blobs.hpp"
#include "cluster/sqlite_log.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <list>
#include <mutex>
#include <thread>

namespace troupe::tests {
namespace {

using namespace cluster;
using std::chrono::milliseconds;

/// Waits for what other threads bring about.
bool eventually(const std::function<bool()>& what) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!what()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

class noting_host final : public host {
 public:
  void prepare(const std::string&, std::uint32_t release, const manifest&, done then) override {
    then({.refused = release == refuses ? "it does not load" : "", .took_ms = 1});
  }
  void activate(const std::string& app, std::uint32_t release, const manifest& files,
                done then) override {
    {
      const std::lock_guard lock(mutex_);
      active_[app] = release;
      paths_[app] = files.files.empty() ? "" : files.files.front().path;
    }
    then({.took_ms = 1});
  }
  void forget(const std::string&, std::uint32_t) override {}
  void config(const std::map<std::string, std::string, std::less<>>& values,
              std::uint64_t) override {
    const std::lock_guard lock(mutex_);
    values_ = values;
  }
  void topic(const topic_message& what) override {
    const std::lock_guard lock(mutex_);
    heard_ = what.topic + " " + what.payload;
  }
  [[nodiscard]] node_report report() const override { return {}; }

  [[nodiscard]] std::uint32_t active(const std::string& app) {
    const std::lock_guard lock(mutex_);
    return active_[app];
  }
  [[nodiscard]] std::string value(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return values_[key];
  }
  [[nodiscard]] std::string heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  std::atomic<std::uint32_t> refuses = 0;

 private:
  std::mutex mutex_;
  std::map<std::string, std::uint32_t> active_;
  std::map<std::string, std::string> paths_;
  std::map<std::string, std::string, std::less<>> values_;
  std::string heard_;
};

/// The operator: who signs, and whose tools link.
struct the_operator {
  temp_dir home;
  std::string path = home.path() / "keys";
  key_folder keys = *key_folder::make(path, "operator");
};

class test_agent {
 public:
  test_agent(std::string name, const the_operator* keys, agent::options how)
      : how_(std::move(how)) {
    how_.name = std::move(name);
    how_.data_folder = data.path();
    how_.log = [this](log_level level, std::string_view line) {
      const std::lock_guard lock(mutex_);
      log_.push_back(std::to_string(static_cast<int>(level)) + " " + std::string(line));
    };
    if (keys != nullptr) how_.key_folder = keys->path;
  }
  ~test_agent() {
    if (!::testing::Test::HasFailure()) return;
    const std::lock_guard lock(mutex_);
    for (const std::string& line : log_) std::cerr << how_.name << ": " << line << '\n';
  }
  agent::options& how() { return how_; }

  [[nodiscard]] tl::expected<void, refusal> try_start() {
    auto made = agent::start(how_, blobs, node);
    if (!made) return tl::unexpected(made.error());
    agent_ = std::move(*made);
    return {};
  }
  void start() {
    const auto done = try_start();
    ASSERT_TRUE(done) << how_.name << ": " << done.error().reason;
  }
  void stop() { agent_.reset(); }
  agent& operator*() { return *agent_; }
  agent* operator->() { return agent_.get(); }

  bool is_current() {
    return eventually([&] { return agent_->stands().current; });
  }
  /// Submits and waits for the outcome.
  progress order(const signed_order& what) {
    auto last = std::make_shared<std::promise<progress>>();
    auto result = last->get_future();
    agent_->submit(what, [last](const progress& one) {
      if (one.done) last->set_value(one);
    });
    if (result.wait_for(patience) == std::future_status::ready) return result.get();
    ADD_FAILURE() << "no outcome";
    return {};
  }
  query_answer ask(const std::string& what) {
    auto got = std::make_shared<std::promise<query_answer>>();
    auto result = got->get_future();
    agent_->query(what, [got](const tl::expected<query_answer, refusal>& answer) {
      got->set_value(answer ? *answer : query_answer{.text = answer.error().reason});
    });
    return result.get();
  }

  temp_dir data;
  memory_blobs blobs;
  noting_host node;

 private:
  agent::options how_;
  std::mutex mutex_;
  std::vector<std::string> log_;
  std::unique_ptr<agent> agent_;  // the first to go: it writes into the log
};

class agents : public ::testing::Test {
 protected:
  /// A controller and three nodes.
  void start_all(bool with_keys = true) {
    const the_operator* keys = with_keys ? &people : nullptr;
    add("a", keys, {.listen = own_address(), .is_controller = true});
    start(0);
    for (const char* name : {"b", "c", "d"}) {
      add(name, keys, {.join = {all[0]->operator->()->address()}});
      start(all.size() - 1);
    }
    for (const auto& one : all) ASSERT_TRUE(one->is_current());
    // Not before the controller waits for them.
    ASSERT_TRUE(hears(*all[0], 4));
  }
  void start(std::size_t which) { all[which]->start(); }
  /// Until the controller has heard so many itself; it lists the others too.
  static bool hears(test_agent& leader, std::ptrdiff_t count) {
    return eventually([&] {
      const auto nodes = leader.ask("nodes").nodes;
      return count == std::count_if(nodes.begin(), nodes.end(), [](const node_report& one) {
               return one.at != position();
             });
    });
  }
  /// Two ports that no other test takes, not even while nobody listens on them.
  std::string own_address() {
    ports.emplace_back(2);
    return "127.0.0.1:" + std::to_string(ports.back().number());
  }
  test_agent& add(const std::string& name, const the_operator* keys, agent::options how) {
    all.push_back(std::make_unique<test_agent>(name, keys, std::move(how)));
    return *all.back();
  }
  signed_order sign(const order_body& body, const std::string& app = "") {
    order what = fresh_order("operator", body);
    what.app = app;
    return signed_order::make(what, people.keys.signing());
  }
  /// Contents and all, as `troupe push` does.
  progress push(test_agent& by, const std::string& text) {
    const std::string content = "-- " + text;
    manifest files;
    files.files.push_back(
        {.path = "app.lua", .size = content.size(), .content = digest::of(content)});
    const std::string encoded = files.encode();
    auto lacking = std::make_shared<std::promise<std::vector<digest>>>();
    by->missing({digest::of(content), digest::of(encoded)},
                [lacking](const tl::expected<std::vector<digest>, refusal>& names) {
                  lacking->set_value(names ? *names : std::vector<digest>());
                });
    for (const digest& name : lacking->get_future().get()) {
      auto put = std::make_shared<std::promise<std::string>>();
      by->put(name, name == digest::of(content) ? content : encoded,
              [put](const tl::expected<void, refusal>& done) {
                put->set_value(done ? "" : done.error().reason);
              });
      EXPECT_EQ(put->get_future().get(), "");
    }
    return by.order(sign(
        release_order{.manifest = digest::of(encoded), .manifest_bytes = encoded.size()}, "shop"));
  }
  bool everywhere(std::uint32_t release) {
    return eventually([&] {
      return std::all_of(all.begin(), all.end(),
                         [&](const auto& one) { return one->node.active("shop") == release; });
    });
  }

  the_operator people;
  std::list<free_port> ports;
  std::vector<std::unique_ptr<test_agent>> all;
};

TEST_F(agents, a_push_by_any_node_is_active_on_all) {
  start_all();
  const progress first = push(*all[2], "one");
  EXPECT_EQ(first.error, "") << first.reason;
  EXPECT_EQ(first.state, "active");
  EXPECT_EQ(first.nodes.size(), 4U);
  EXPECT_TRUE(everywhere(1));
  const progress second = push(*all[0], "two");
  EXPECT_EQ(second.state, "active") << second.reason;
  EXPECT_TRUE(everywhere(2));
}

TEST_F(agents, a_release_that_one_node_refuses_is_active_nowhere) {
  start_all();
  ASSERT_EQ(push(*all[1], "one").state, "active");
  all[3]->node.refuses = 2;
  const progress second = push(*all[1], "two");
  EXPECT_EQ(second.state, "aborted");
  EXPECT_TRUE(everywhere(1));
}

TEST_F(agents, a_value_reaches_every_node) {
  start_all();
  const progress set = all[3]->order(sign(config_order{.key = "limits.rate", .value = "500"}));
  EXPECT_EQ(set.error, "") << set.reason;
  for (const auto& one : all) {
    EXPECT_TRUE(eventually([&] { return one->node.value("limits.rate") == "500"; }));
  }
}

TEST_F(agents, without_keys_they_do_the_same) {
  start_all(/*with_keys=*/false);
  order what = fresh_order("somebody", config_order{.key = "k", .value = "v"});
  const progress set = all[1]->order(signed_order::make_unsigned(what));
  EXPECT_EQ(set.error, "") << set.reason;
  for (const auto& one : all) {
    EXPECT_TRUE(eventually([&] { return one->node.value("k") == "v"; }));
  }
}

TEST_F(agents, nodes_serve_on_without_the_controller_and_go_on_with_it) {
  start_all();
  ASSERT_EQ(push(*all[1], "one").state, "active");
  all[0]->stop();
  EXPECT_TRUE(eventually([&] { return !(*all[1])->stands().current; }));
  EXPECT_EQ(all[1]->node.active("shop"), 1U);
  start(0);
  for (const auto& one : all) ASSERT_TRUE(one->is_current());
  EXPECT_EQ((*all[0])->stands().controller, "a");
  ASSERT_TRUE(hears(*all[0], 4));
  EXPECT_EQ(push(*all[1], "two").state, "active");
  EXPECT_TRUE(everywhere(2));
}

TEST_F(agents, an_order_that_waits_for_the_controller_is_done_once) {
  start_all();
  all[0]->stop();
  ASSERT_TRUE(eventually([&] { return !(*all[1])->stands().current; }));
  std::promise<progress> outcome;
  (*all[1])->submit(sign(config_order{.key = "k", .value = "v"}), [&](const progress& one) {
    if (one.done) outcome.set_value(one);
  });
  start(0);
  EXPECT_EQ(outcome.get_future().get().error, "");
  EXPECT_TRUE(eventually([&] { return all[2]->node.value("k") == "v"; }));
}

TEST_F(agents, a_node_that_joins_late_has_it_all) {
  start_all();
  ASSERT_EQ(push(*all[1], "one").state, "active");
  ASSERT_EQ(all[1]->order(sign(config_order{.key = "k", .value = "v"})).error, "");
  add("late", &people, {.join = {(*all[0])->address()}});
  start(4);
  EXPECT_TRUE(all[4]->is_current());
  EXPECT_TRUE(everywhere(1));
  EXPECT_TRUE(eventually([&] { return all[4]->node.value("k") == "v"; }));
  EXPECT_EQ((*all[4])->stands().at, (*all[0])->stands().at);
}

TEST_F(agents, a_node_that_was_away_while_the_log_was_cut_comes_to_the_head_by_a_snapshot) {
  start_all();
  ASSERT_EQ(all[0]->order(sign(config_order{.key = "first", .value = "kept"})).error, "");
  ASSERT_TRUE(eventually([&] { return all[3]->node.value("first") == "kept"; }));
  all[3]->stop();
  struct extent {
    std::uint64_t begins_after = 0;
    std::uint64_t head = 0;
  };
  const auto log_of = [](const test_agent& of) -> extent {
    const auto log = sqlite_log::open(of.data.path() / "cluster.db");
    EXPECT_TRUE(log);
    if (!log) return {};
    return {(*log)->begins_after(), (*log)->head().seq};
  };
  const extent away = log_of(*all[3]);
  EXPECT_EQ(away.begins_after, 0U);
  // A log is cut at the checkpoint before the last, and there is one each thousand changes.
  auto left = std::make_shared<std::atomic<int>>(0);
  for (int i = 0; i < 2'200; ++i) {
    ASSERT_TRUE(eventually([&] { return *left < 64; }));
    ++*left;
    const auto value = std::to_string(i);
    (*all[0])->submit(sign(config_order{.key = "count", .value = value}),
                      [left](const progress& one) {
                        if (one.done) --*left;
                      });
  }
  ASSERT_TRUE(eventually([&] { return *left == 0; }));
  ASSERT_TRUE(eventually([&] { return all[1]->node.value("count") == "2199"; }));
  // It may still count as live: then it is waited for until it does not.
  const std::string state = push(*all[1], "one").state;
  ASSERT_TRUE(state == "active" || state == "partial") << state;
  start(3);
  EXPECT_TRUE(all[3]->is_current());
  EXPECT_TRUE(everywhere(1));
  EXPECT_TRUE(eventually([&] { return all[3]->node.value("count") == "2199"; }));
  EXPECT_EQ(all[3]->node.value("first"), "kept");
  EXPECT_TRUE(eventually([&] { return (*all[3])->stands().at == (*all[0])->stands().at; }));
  for (const std::size_t each : {std::size_t{3}, std::size_t{0}}) all[each]->stop();
  // What it lacked was there no more, so it did not come change by change.
  EXPECT_GT(log_of(*all[0]).begins_after, away.head);
  EXPECT_GT(log_of(*all[3]).begins_after, away.head);
}

TEST_F(agents, a_token_makes_a_member_once) {
  start_all();
  const auto nodes = people.keys.known_nodes();
  ASSERT_TRUE(nodes);
  const std::string address = (*all[0])->address();
  ASSERT_TRUE(nodes->contains(address));
  const auto token =
      join_token::make(people.keys, {{address, nodes->at(address)}}, false,
                       std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now()),
                       std::chrono::hours(1));
  ASSERT_TRUE(token);
  ASSERT_EQ(all[0]->order(token->grant).error, "");
  test_agent& guest = add("guest", nullptr, {.token = token->text()});
  guest.start();
  EXPECT_TRUE(guest.is_current());
  EXPECT_TRUE((*all[0])->state()->members().contains("guest"));
  test_agent& second = add("second", nullptr, {.token = token->text()});
  second.start();
  EXPECT_TRUE(eventually([&] { return !second->stands().problem.empty(); }));
  EXPECT_FALSE(second->stands().current);
  EXPECT_FALSE((*all[0])->state()->members().contains("second"));
}

TEST_F(agents, a_revoked_node_is_out_and_the_others_are_not) {
  start_all();
  trust_order revoke;
  revoke.does = trust_order::what::revoke_node;
  revoke.name = "d";
  ASSERT_EQ(all[1]->order(sign(revoke)).error, "");
  EXPECT_TRUE(eventually([&] { return !(*all[3])->stands().current; }));
  ASSERT_EQ(all[1]->order(sign(config_order{.key = "k", .value = "secret"})).error, "");
  EXPECT_TRUE(eventually([&] { return all[2]->node.value("k") == "secret"; }));
  EXPECT_NE(all[3]->node.value("k"), "secret");
  EXPECT_TRUE((*all[1])->stands().current);
  EXPECT_TRUE(eventually([&] { return !(*all[3])->stands().problem.empty(); }));
}

TEST_F(agents, another_node_is_promoted_while_the_controller_lives) {
  start_all();
  test_agent& next = add("e", &people, {.listen = own_address(), .join = {(*all[0])->address()}});
  start(4);
  ASSERT_TRUE(next.is_current());
  const auto epoch = (*all[0])->stands().at.epoch;
  const progress done = all[1]->order(sign(promote_order{"e", epoch + 1}));
  EXPECT_EQ(done.error, "") << done.reason;
  for (const auto& one : all) {
    EXPECT_TRUE(eventually([&] { return (*one)->stands().controller == "e"; }));
  }
  for (const auto& one : all) EXPECT_TRUE(one->is_current());
  ASSERT_TRUE(hears(next, 5));
  EXPECT_EQ(push(*all[1], "after").state, "active");
  EXPECT_TRUE(everywhere(1));
}

TEST_F(agents, a_node_that_bound_no_address_may_lead_when_it_is_started_with_one) {
  start_all();
  ASSERT_EQ(push(*all[1], "one").state, "active");
  ASSERT_TRUE(everywhere(1));
  // Not without: nobody would find it.
  EXPECT_NE(all[1]->order(sign(promote_order{"b", 2})).error, "");
  EXPECT_EQ((*all[0])->stands().controller, "a");
  all[0]->stop();
  all[1]->stop();
  all[1]->how().listen = own_address();
  all[1]->how().is_controller = true;
  start(1);
  const progress done = all[1]->order(sign(promote_order{"b", 2}));
  EXPECT_EQ(done.error, "") << done.reason;
  EXPECT_TRUE(eventually([&] { return (*all[1])->stands().controller == "b"; }));
  EXPECT_TRUE(eventually([&] {
    const auto& members = (*all[1])->state()->members();
    return members.contains("b") && members.at("b").address == (*all[1])->address();
  }));
  EXPECT_EQ(push(*all[1], "two").error, "");
  all.erase(all.begin());
}

TEST_F(agents, another_node_takes_over_from_a_controller_that_is_gone_and_it_steps_down) {
  start_all();
  test_agent& next = add("e", &people, {.listen = own_address(), .join = {(*all[0])->address()}});
  start(4);
  ASSERT_TRUE(next.is_current());
  for (const auto& one : all) ASSERT_TRUE(one->is_current());
  ASSERT_EQ(push(*all[1], "one").state, "active");
  ASSERT_TRUE(everywhere(1));
  all[0]->stop();
  ASSERT_TRUE(eventually([&] { return !next->stands().current; }));
  const progress done = next.order(sign(promote_order{"e", 2}));
  EXPECT_EQ(done.error, "") << done.reason;
  for (std::size_t n = 1; n < all.size(); ++n) {
    EXPECT_TRUE(eventually([&] { return (*all[n])->stands().controller == "e"; }));
    EXPECT_TRUE(all[n]->is_current());
  }
  start(0);
  EXPECT_TRUE(eventually([&] { return (*all[0])->stands().controller == "e"; }));
  EXPECT_TRUE(all[0]->is_current());
  ASSERT_TRUE(hears(next, 5));
  EXPECT_EQ(push(*all[1], "two").state, "active");
  EXPECT_TRUE(everywhere(2));
}

TEST_F(agents, one_that_was_shown_that_it_leads_no_more_does_not_after_a_restart_either) {
  start_all();
  test_agent& next = add("e", &people, {.listen = own_address(), .join = {(*all[0])->address()}});
  start(4);
  for (const auto& one : all) ASSERT_TRUE(one->is_current());
  all[0]->stop();
  {
    // It was shown the promotion, and killed before it had the other's history.
    const auto log = sqlite_log::open(all[0]->data.path() / "cluster.db");
    ASSERT_TRUE(log);
    ASSERT_TRUE((*log)->keep_lost_epoch(1));
  }
  next.stop();
  start(0);
  // By itself it acknowledges nothing that the other's history would not have.
  EXPECT_FALSE((*all[0])->stands().current);
  auto outcome = std::make_shared<std::promise<progress>>();
  auto result = outcome->get_future();
  (*all[0])->submit(sign(config_order{.key = "x", .value = "1"}), [outcome](const progress& one) {
    if (one.done) outcome->set_value(one);
  });
  EXPECT_EQ(result.wait_for(milliseconds(1'500)), std::future_status::timeout);
  EXPECT_EQ((*all[0])->stands().at.epoch, 1U);
  start(4);
  EXPECT_EQ(next.order(sign(promote_order{"e", 2})).error, "");
  for (const auto& one : all) EXPECT_TRUE(one->is_current());
  EXPECT_EQ((*all[0])->stands().controller, "e");
  // It waits for who leads, or is told to ask again: nobody else has taken it.
  const std::string error = result.get().error;
  EXPECT_TRUE(error.empty() || error == "no_controller") << error;
}

TEST_F(agents, what_pauses_is_out_and_takes_part_again_from_its_disk) {
  start_all();
  ASSERT_EQ(push(*all[1], "one").state, "active");
  for (const std::size_t which : {std::size_t{1}, std::size_t{0}}) {
    agent& paused = **all[which];
    const std::string address = paused.address();
    const std::uint64_t seq = paused.stands().at.seq;
    paused.pause();
    paused.pause();
    EXPECT_GE(paused.stands().at.seq, seq);  // What is shown may be some milliseconds old before.
    EXPECT_EQ(paused.address(), address);
    EXPECT_EQ(paused.state()->apps().count("shop"), 1U);
    EXPECT_EQ(all[which]->order(sign(config_order{.key = "y", .value = "1"})).error, "no_controller");
    EXPECT_NE(all[which]->ask("nodes").text.find("another process"), std::string::npos);
    // Its ports and its history are for another process.
    const auto log = sqlite_log::open(all[which]->data.path() / "cluster.db");
    EXPECT_TRUE(log);
    if (!address.empty()) {
      test_agent other("other", &people, {.listen = address, .is_controller = true});
      EXPECT_TRUE(other.try_start());
    }
    const auto back = paused.resume();
    ASSERT_TRUE(back) << back.error().reason;
    for (const auto& one : all) EXPECT_TRUE(one->is_current());
  }
  EXPECT_EQ(push(*all[0], "two").state, "active");
  EXPECT_TRUE(everywhere(2));
}

TEST_F(agents, a_controller_knows_after_a_restart_how_each_node_did) {
  start_all();
  const auto outcome_of = [&](const order_id& id) {
    const auto answer = all[1]->ask("outcome " + text(id));
    const auto decoded = decode_message(answer.text);
    const auto* told = decoded ? std::get_if<progress>(&*decoded) : nullptr;
    return told != nullptr ? *told : progress{.state = answer.text};
  };
  const progress done = push(*all[1], "one");
  ASSERT_EQ(done.state, "active");
  const progress refused = all[1]->order(sign(rollback_order{.release = 77}, "shop"));
  ASSERT_EQ(refused.state, "aborted") << refused.reason;
  all[0]->stop();
  start(0);
  for (const auto& one : all) ASSERT_TRUE(one->is_current());
  const progress known = outcome_of(done.id);
  EXPECT_EQ(known.state, "active");
  EXPECT_EQ(known.nodes.size(), 4U);
  EXPECT_EQ(outcome_of(refused.id).reason, refused.reason);
  // One that nobody knows is not answered with anything.
  EXPECT_EQ(outcome_of(order_id{}).state, "");
}

TEST_F(agents, topics_reach_those_who_subscribed) {
  start_all();
  (*all[1])->subscribe("news");
  (*all[0])->subscribe("news");
  EXPECT_TRUE(eventually([&] {
    (*all[2])->publish("news", "hello");
    return all[1]->node.heard() == "news hello" && all[0]->node.heard() == "news hello";
  }));
  EXPECT_EQ(all[3]->node.heard(), "");
}

TEST_F(agents, nodes_below_a_relay_take_part) {
  start_all();
  test_agent& relay = add(
      "r", &people, {.listen = own_address(), .join = {(*all[0])->address()}, .is_relay = true});
  start(4);
  ASSERT_TRUE(relay.is_current());
  add("below", &people, {.join = {relay->address()}});
  start(5);
  ASSERT_TRUE(all[5]->is_current());
  ASSERT_TRUE(eventually([&] { return all[0]->ask("nodes").nodes.size() == 6; }));
  const progress done = push(*all[5], "one");
  EXPECT_EQ(done.state, "active") << done.reason;
  EXPECT_EQ(done.nodes.size(), 6U);
  EXPECT_TRUE(everywhere(1));
}

TEST_F(agents, without_keys_an_address_that_is_not_loopback_is_refused_with_what_to_do) {
  test_agent& open = add("a", nullptr, {.listen = "0.0.0.0:0", .is_controller = true});
  const auto done = open.try_start();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().reason.find("troupe keys init"), std::string::npos);
}

TEST_F(agents, an_address_in_use_is_named) {
  add("a", &people, {.listen = own_address(), .is_controller = true});
  start(0);
  test_agent& other = add("b", &people, {.listen = (*all[0])->address(), .is_controller = true});
  const auto done = other.try_start();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().reason.find((*all[0])->address()), std::string::npos);
}

TEST_F(agents, a_node_that_knows_nobody_says_so) {
  const auto done = add("a", &people, {}).try_start();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().reason.find("--join"), std::string::npos);
}

TEST_F(agents, requests_end_when_the_node_does) {
  start_all();
  all[0]->stop();
  ASSERT_TRUE(eventually([&] { return !(*all[1])->stands().current; }));
  std::promise<progress> outcome;
  (*all[1])->submit(sign(config_order{.key = "k", .value = "v"}), [&](const progress& one) {
    if (one.done) outcome.set_value(one);
  });
  all[1]->stop();
  EXPECT_EQ(outcome.get_future().get().error, "no_controller");
}

}  // namespace
}  // namespace troupe::tests
