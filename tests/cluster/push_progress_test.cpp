// SPDX-License-Identifier: Apache-2.0
#include "cluster/push_progress.hpp"

#include "tests/cluster/history.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

/// A value, or what is done in two steps, on its way to so many live nodes.
struct value_to : history {
  explicit value_to(unsigned count, bool is_two_step = false, push_policy policy = {},
                    unsigned gone = 0) {
    history::begin();
    take(config_order{.key = "limit", .value = "1"}, admin);
    for (unsigned i = 0; i < count; ++i) {
      node_report who;
      who.name = "n" + std::to_string(i);
      members.hear(who, who.name, begun, wall_time());
    }
    for (unsigned i = 0; i < gone; ++i) {
      node_report who;
      who.name = "gone" + std::to_string(i);
      members.expect(who, begun, wall_time());
    }
    push.emplace(last, state_change(), is_two_step, selector(), policy, members, pace, begun);
  }
  void answer(const std::string& node, ack_step step, instant at) {
    EXPECT_TRUE(
        push->acknowledge({node, last.id, step, push->present().seq, {}, 0}, at));
  }
  void acknowledge(unsigned node, instant at) {
    EXPECT_TRUE(push->acknowledge({"n" + std::to_string(node), last.id, ack_step::applied,
                                   push->present().seq, {}, 0},
                                  at));
  }
  [[nodiscard]] change state_change() const {
    change in;
    in.epoch = state.at().epoch;
    in.seq = state.at().seq;
    return in;
  }
  const instant begun{1h};
  membership members;
  ack_pace pace;
  std::optional<push_progress> push;
};

TEST(push_progress, a_change_is_repeated_to_who_has_not_acknowledged_it) {
  value_to h(3);
  EXPECT_TRUE(h.push->to_repeat(h.begun + 99ms).empty());
  EXPECT_EQ(h.push->to_repeat(h.begun + 100ms).size(), 3U);
  h.acknowledge(1, h.begun + 150ms);
  EXPECT_TRUE(h.push->to_repeat(h.begun + 299ms).empty());
  EXPECT_EQ(h.push->to_repeat(h.begun + 300ms), (std::vector<std::string>{"n0", "n2"}));
}

TEST(push_progress, many_nodes_get_the_time_that_a_controller_needs_for_them) {
  value_to h(400);
  EXPECT_TRUE(h.push->to_repeat(h.begun + 399ms).empty());
  EXPECT_EQ(h.push->next_tick(), h.begun + 400ms);
  // While they answer, those that have not are only waiting for their turn.
  for (unsigned i = 0; i < 350; ++i) h.acknowledge(i, h.begun + 399ms);
  EXPECT_TRUE(h.push->to_repeat(h.begun + 498ms).empty());
  EXPECT_EQ(h.push->to_repeat(h.begun + 499ms).size(), 50U);
}

TEST(push_progress, few_canaries_among_many_nodes_are_few) {
  value_to h(400, true);
  const selector canary{.labels = {}, .percent = 5, .salt = "s"};
  change by = h.state_change();
  ++by.seq;
  h.push->activated(by, canary, h.members, h.begun + 1s);
  EXPECT_TRUE(h.push->to_repeat(h.begun + 1s + 99ms).empty());
  const auto late = h.push->to_repeat(h.begun + 1s + 100ms);
  EXPECT_FALSE(late.empty());
  EXPECT_LT(late.size(), 60U);
}

TEST(push_progress, what_many_nodes_do_slowly_is_not_repeated_sooner_the_second_time) {
  value_to h(400);
  EXPECT_EQ(h.push->to_repeat(h.begun + 400ms).size(), 400U);
  EXPECT_TRUE(h.push->to_repeat(h.begun + 1199ms).empty());
  EXPECT_EQ(h.push->to_repeat(h.begun + 1200ms).size(), 400U);
}

TEST(push_progress, nobody_waits_longer_than_a_second_for_a_repeat) {
  value_to h(5'000);
  EXPECT_TRUE(h.push->to_repeat(h.begun + 999ms).empty());
  for (unsigned i = 0; i < 10; ++i) h.acknowledge(i, h.begun + 999ms);
  EXPECT_EQ(h.push->to_repeat(h.begun + 1s).size(), 4'990U);
}

// A hash of so few names has often none of them below a percentage, or all.
TEST(push_progress, a_canary_has_as_many_nodes_as_were_asked_for) {
  const auto canaries = [](unsigned nodes, unsigned percent) {
    push_policy policy;
    policy.canary_percent = percent;
    value_to h(nodes, true, policy);
    for (unsigned i = 0; i < nodes; ++i) {
      h.answer("n" + std::to_string(i), ack_step::ready, h.begun + 1ms);
    }
    const auto next = h.push->decide(h.members, h.begun + 1ms);
    EXPECT_EQ(next.what, push_progress::verdict::activate_canary);
    return h.members.live(next.to, h.begun + 1ms).size();
  };
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(canaries(2, 1), 1U);
    EXPECT_LE(canaries(3, 34), 2U);  // one, but for two of one percentage
    EXPECT_NEAR(static_cast<double>(canaries(5, 20)), 1, 1);
    EXPECT_LT(canaries(4, 99), 4U);
    EXPECT_NEAR(static_cast<double>(canaries(100, 20)), 20, 4);
  }
}

TEST(push_progress, who_was_not_heard_is_named_and_changes_nothing) {
  value_to h(1, false, {}, 1);
  h.acknowledge(0, h.begun + 1ms);
  EXPECT_EQ(h.push->decide(h.members, h.begun + 1ms).what, push_progress::verdict::done);
  const progress how = h.push->report(h.members, h.begun + 1ms);
  EXPECT_EQ(how.state, "applied");
  ASSERT_EQ(how.nodes.size(), 2U);
  EXPECT_EQ(how.nodes[1].name, "gone0");
  EXPECT_EQ(how.nodes[1].state, node_outcome::unreachable);
}

TEST(push_progress, a_share_that_is_active_waits_a_second_for_the_rest) {
  push_policy policy;
  policy.require_percent = 50;
  value_to h(2, true, policy);
  h.answer("n0", ack_step::ready, h.begun + 10ms);
  ASSERT_EQ(h.push->decide(h.members, h.begun + 10ms).what, push_progress::verdict::activate_all);
  change by = h.state_change();
  ++by.seq;
  h.push->activated(by, selector(), h.members, h.begun + 20ms);
  EXPECT_EQ(h.push->decide(h.members, h.begun + 20ms).what, push_progress::verdict::wait);
  h.answer("n0", ack_step::active, h.begun + 30ms);
  for (const auto& [name, one] : h.members.all()) h.members.hear(name, h.begun + 1s);
  EXPECT_EQ(h.push->decide(h.members, h.begun + 1029ms).what, push_progress::verdict::wait);
  EXPECT_EQ(h.push->decide(h.members, h.begun + 1030ms).what, push_progress::verdict::done);
  EXPECT_EQ(h.push->report(h.members, h.begun + 1030ms).state, "partial");
}

}  // namespace
}  // namespace troupe::cluster
