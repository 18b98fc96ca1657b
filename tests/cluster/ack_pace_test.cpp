// SPDX-License-Identifier: Apache-2.0
#include "cluster/ack_pace.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;
using cluster::ack_pace;
using cluster::instant;

void answers(ack_pace& pace, const std::string& node, std::chrono::nanoseconds pause, unsigned times) {
  for (unsigned i = 0; i < times; ++i) pace.acknowledged(node, pause);
}

TEST(ack_pace, a_node_that_is_not_known_yet_is_waited_for_long) {
  ack_pace pace;
  EXPECT_EQ(pace.patience("a"), ack_pace::unknown);
  answers(pace, "a", 1ms, ack_pace::samples_needed - 1);
  EXPECT_EQ(pace.patience("a"), ack_pace::unknown);
  answers(pace, "a", 1ms, 1);
  EXPECT_LT(pace.patience("a"), 10ms);
}

TEST(ack_pace, who_is_usually_a_little_late_is_waited_for_a_little_longer) {
  ack_pace pace;
  answers(pace, "prompt", 100us, 50);
  EXPECT_EQ(pace.patience("prompt"), ack_pace::least);
  answers(pace, "late", 20ms, 50);
  EXPECT_GE(pace.patience("late"), 20ms);
  EXPECT_LT(pace.patience("late"), 25ms);
  for (int i = 0; i < 25; ++i) {
    pace.acknowledged("unsteady", 1ms);
    pace.acknowledged("unsteady", 15ms);
  }
  EXPECT_GT(pace.patience("unsteady"), 15ms);
}

TEST(ack_pace, who_is_always_very_late_is_not) {
  ack_pace pace;
  answers(pace, "slow", 500ms, 50);
  EXPECT_EQ(pace.patience("slow"), ack_pace::least);
  // Until it is better.
  answers(pace, "slow", 1ms, 100);
  EXPECT_LE(pace.patience("slow"), ack_pace::slow);
}

TEST(ack_pace, one_that_was_left_behind_is_that_until_something_comes) {
  ack_pace pace;
  const instant begun{std::chrono::hours(1)};
  answers(pace, "a", 4ms, 20);
  const auto calm = pace.patience("a");
  EXPECT_FALSE(pace.came_after_all("a", begun));
  pace.left_behind("a", begun);
  EXPECT_TRUE(pace.is_behind("a"));
  EXPECT_TRUE(pace.came_after_all("a", begun + 8ms));
  EXPECT_FALSE(pace.is_behind("a"));
  EXPECT_FALSE(pace.came_after_all("a", begun + 9ms));
  EXPECT_GT(pace.patience("a"), calm + 1ms);
  // A second of silence is not its pace.
  const auto before = pace.patience("a");
  pace.left_behind("a", begun);
  EXPECT_TRUE(pace.came_after_all("a", begun + 1s));
  EXPECT_FALSE(pace.is_behind("a"));
  EXPECT_EQ(pace.patience("a"), before);
  pace.left_behind("a", begun);
  pace.forget("a");
  EXPECT_FALSE(pace.is_behind("a"));
  EXPECT_EQ(pace.patience("a"), ack_pace::unknown);
}

}  // namespace
}  // namespace troupe::tests
