// SPDX-License-Identifier: Apache-2.0
#include "cluster/outcomes.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

progress outcome_of(std::uint8_t number, std::size_t nodes, const std::string& state = "applied") {
  progress result;
  result.id[0] = number;
  result.done = true;
  result.state = state;
  for (std::size_t i = 0; i < nodes; ++i) {
    result.nodes.push_back({"n" + std::to_string(i), node_outcome::behind, 0, 0, {}});
  }
  return result;
}

order_id id_of(std::uint8_t number) {
  return outcome_of(number, 0).id;
}

TEST(outcomes, the_lines_of_older_ones_go_before_what_they_say) {
  const cluster_state none;
  outcomes kept({}, nullptr);
  kept.keep(outcome_of(1, 9'000, "partial"));
  kept.keep(outcome_of(2, 9'000));
  EXPECT_EQ(kept.find(id_of(1), none)->nodes.size(), 9'000U);
  kept.keep(outcome_of(3, 9'000));
  ASSERT_TRUE(kept.find(id_of(1), none));
  EXPECT_EQ(kept.find(id_of(1), none)->state, "partial");
  EXPECT_TRUE(kept.find(id_of(1), none)->nodes.empty());
  EXPECT_EQ(kept.find(id_of(2), none)->nodes.size(), 9'000U);
  // The newest has its own, however many.
  kept.keep(outcome_of(4, 50'000));
  EXPECT_EQ(kept.find(id_of(4), none)->nodes.size(), 50'000U);
  EXPECT_TRUE(kept.find(id_of(3), none)->nodes.empty());
  for (int i = 0; i < 200; ++i) kept.keep(outcome_of(5, 1));
  EXPECT_FALSE(kept.find(id_of(4), none));
}

TEST(outcomes, a_node_that_came_after_all_is_active) {
  const cluster_state none;
  outcomes kept({}, nullptr);
  kept.keep(outcome_of(1, 2));
  acknowledgement ack;
  ack.node = "n1";
  ack.push = id_of(1);
  ack.step = ack_step::applied;
  kept.came_after_all(ack);
  ack.push = id_of(9);
  kept.came_after_all(ack);
  EXPECT_EQ(kept.find(id_of(1), none)->nodes[0].state, node_outcome::behind);
  EXPECT_EQ(kept.find(id_of(1), none)->nodes[1].state, node_outcome::active);
}

}  // namespace
}  // namespace troupe::cluster
