// SPDX-License-Identifier: Apache-2.0
#include "tests/model/protocol_model.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace troupe::tests {
namespace {

std::string text(const model_result& result) {
  std::string lines = result.violation + '\n';
  for (const std::string& step : result.trace) lines += "  " + step + '\n';
  return lines;
}

void expect_noticed(broken_rule broken, model_bounds bounds) {
  const model_result result = search(broken, bounds);
  EXPECT_NE(result.violation, "") << result.states << " states";
  std::cout << result.states << " states, then: " << text(result);
}

void expect_sound(model_bounds bounds) {
  const model_result result = search(broken_rule::none, bounds);
  std::cout << result.states << " states\n";
  EXPECT_EQ(result.violation, "") << text(result);
  EXPECT_GT(result.states, 1'000u);
}

TEST(protocol_model, holds_its_invariants_with_crashes) {
  expect_sound({.pushes = 2, .crashes = 1, .promotions = 0});
}

TEST(protocol_model, holds_its_invariants_with_a_crash_and_a_promotion) {
  expect_sound({.pushes = 1, .crashes = 1, .promotions = 1});
}

TEST(protocol_model, holds_its_invariants_with_two_promotions_at_once) {
  expect_sound({.pushes = 1, .crashes = 0, .promotions = 2});
}

TEST(protocol_model, notices_that_changes_are_announced_before_they_are_on_the_disk) {
  expect_noticed(broken_rule::announce_before_append, {.pushes = 2, .crashes = 1, .promotions = 0});
}

TEST(protocol_model, notices_that_a_push_is_activated_before_all_are_ready) {
  expect_noticed(broken_rule::activate_before_all_are_ready,
                 {.pushes = 1, .crashes = 0, .promotions = 0});
}

TEST(protocol_model, notices_that_a_late_acknowledgement_is_taken_for_another) {
  expect_noticed(broken_rule::acknowledgements_without_position,
                 {.pushes = 2, .crashes = 0, .promotions = 0});
}

TEST(protocol_model, notices_that_nodes_follow_a_longer_history_of_a_lower_epoch) {
  expect_noticed(broken_rule::follow_any_longer_history,
                 {.pushes = 1, .crashes = 0, .promotions = 1});
}

TEST(protocol_model, notices_that_two_promotions_at_once_are_not_ordered) {
  expect_noticed(broken_rule::equal_epochs_are_not_ordered,
                 {.pushes = 0, .crashes = 0, .promotions = 2});
}

TEST(protocol_model, notices_that_a_promotion_leaves_out_what_others_have) {
  expect_noticed(broken_rule::promote_without_the_furthest_history,
                 {.pushes = 1, .crashes = 0, .promotions = 1});
}

TEST(protocol_model, notices_an_activate_after_an_abort) {
  expect_noticed(broken_rule::activate_after_abort, {.pushes = 1, .crashes = 0, .promotions = 0});
}

}  // namespace
}  // namespace troupe::tests
