// SPDX-License-Identifier: Apache-2.0
#include "cluster/outcomes.hpp"

#include "tests/cluster/history.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

/// A history with so many values, and their orders.
struct values : history {
  explicit values(int count) {
    begin();
    for (int i = 0; i < count; ++i) {
      take(config_order{.key = "k" + std::to_string(i), .value = "v"}, admin, "");
      ids.push_back(last.id);
    }
  }
  std::vector<order_id> ids;
};

progress outcome_of(const order_id& id, std::size_t nodes, const std::string& state = "applied") {
  progress result;
  result.id = id;
  result.done = true;
  result.state = state;
  for (std::size_t i = 0; i < nodes; ++i) {
    result.nodes.push_back({"n" + std::to_string(i), node_outcome::behind, 0, 0, {}});
  }
  return result;
}

TEST(outcomes, the_lines_of_older_ones_go_before_what_they_say) {
  const values h(5);
  outcomes kept({}, nullptr);
  kept.keep(outcome_of(h.ids[0], 9'000, "partial"));
  kept.keep(outcome_of(h.ids[1], 9'000));
  EXPECT_EQ(kept.find(h.ids[0], h.state)->nodes.size(), 9'000U);
  kept.keep(outcome_of(h.ids[2], 9'000));
  ASSERT_TRUE(kept.find(h.ids[0], h.state));
  EXPECT_EQ(kept.find(h.ids[0], h.state)->state, "partial");
  EXPECT_TRUE(kept.find(h.ids[0], h.state)->nodes.empty());
  EXPECT_EQ(kept.find(h.ids[1], h.state)->nodes.size(), 9'000U);
  // The newest has its own, however many.
  kept.keep(outcome_of(h.ids[3], 50'000));
  EXPECT_EQ(kept.find(h.ids[3], h.state)->nodes.size(), 50'000U);
  EXPECT_TRUE(kept.find(h.ids[2], h.state)->nodes.empty());
  for (int i = 0; i < 200; ++i) kept.keep(outcome_of(h.ids[4], 1));
  // Then the history alone knows.
  EXPECT_TRUE(kept.find(h.ids[3], h.state)->nodes.empty());
}

TEST(outcomes, a_node_that_came_after_all_is_active) {
  const values h(1);
  outcomes kept({}, nullptr);
  kept.keep(outcome_of(h.ids[0], 2));
  acknowledgement ack;
  ack.node = "n1";
  ack.push = h.ids[0];
  ack.step = ack_step::applied;
  kept.came_after_all(ack);
  ack.push = new_order_id();
  kept.came_after_all(ack);
  EXPECT_EQ(kept.find(h.ids[0], h.state)->nodes[0].state, node_outcome::behind);
  EXPECT_EQ(kept.find(h.ids[0], h.state)->nodes[1].state, node_outcome::active);
}

TEST(outcomes, those_of_a_history_that_was_left_are_not_told) {
  history h;
  h.begin();
  h.take(h.release(), h.admin);
  const order_id taken = h.last.id;
  outcomes kept({}, nullptr);
  progress refused = outcome_of(taken, 0, "aborted");
  refused.error = "conflict";
  kept.keep(refused);
  EXPECT_NE(kept.find(taken, h.state)->error, "conflict");
  progress lost = outcome_of(new_order_id(), 1, "active");
  lost.release = 7;
  kept.keep(lost);
  EXPECT_FALSE(kept.find(lost.id, h.state));
  const progress never = outcome_of(new_order_id(), 0, "aborted");
  kept.keep(never);
  EXPECT_EQ(kept.find(never.id, h.state)->state, "aborted");
}

}  // namespace
}  // namespace troupe::cluster
