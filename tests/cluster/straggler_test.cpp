// SPDX-License-Identifier: Apache-2.0
//
// A node that hangs holds up nobody's values, and one that is only later than the others is waited
// for.
#include "tests/cluster/scenario.hpp"

#include "cluster/ack_pace.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;

milliseconds time_of(simulation& world, const simulation::client& what, instant begun) {
  EXPECT_TRUE(world.run_until([&] { return what.is_done; }, 30'000ms));
  return std::chrono::duration_cast<milliseconds>(what.done_at - begun);
}

milliseconds set(simulation& world, const std::string& value, const simulation::client** what) {
  const instant begun = world.now();
  *what = &world.set("c0", "limit", value);
  return time_of(world, **what, begun);
}

/// Until the controller knows how promptly each node answers.
void warm_up(simulation& world) {
  world.run_for(3'000ms);
  for (unsigned i = 0; i < ack_pace::samples_needed + 2; ++i) {
    const simulation::client* value = nullptr;
    EXPECT_LT(set(world, std::to_string(i), &value), 100ms);
  }
}

node_outcome outcome_of(const simulation::client& what, const std::string& node) {
  for (const node_progress& one : what.last->nodes) {
    if (one.name == node) return one.state;
  }
  return node_outcome::refused;
}

/// The node is not run: nothing that is sent to it is read, and it says nothing.
void freeze(simulation& world, const std::string& node) {
  world.filter = [node](const std::string& from, const std::string& to, const message&) {
    return from != node && to != node;
  };
}

/// The node hears everything, and all it says comes so much later.
void slow_down(simulation& world, const std::string& node, milliseconds by) {
  world.filter = [&world, node, by](const std::string& from, const std::string& to,
                                    const message& what) {
    if (from != node || !std::holds_alternative<acknowledgements>(what)) return true;
    world.after(by, [&world, from, to, what] { world.deliver(from, to, what); });
    return false;
  };
}

TEST(cluster_straggler, a_value_does_not_wait_for_a_node_that_hangs) {
  for (const unsigned relays : {0u, 2u}) {
    simulation world({.seed = relays + 1, .relays = relays, .nodes = 4, .through_relays = relays > 0});
    warm_up(world);
    freeze(world, "n2");
    const simulation::client* value = nullptr;
    EXPECT_LT(set(world, "first", &value), relays == 0 ? 25ms : 100ms);
    EXPECT_EQ(value->last->state, "applied");
    EXPECT_EQ(outcome_of(*value, "n2"), node_outcome::behind);
    EXPECT_EQ(outcome_of(*value, "n1"), node_outcome::active);
    // It is not waited for again.
    EXPECT_LT(set(world, "second", &value), relays == 0 ? 15ms : 50ms);
    EXPECT_EQ(outcome_of(*value, "n2"), node_outcome::behind);
    const order_id asked_again = value->id;
    world.filter = nullptr;
    ASSERT_TRUE(world.run_until([&] { return world.at("n2").values["limit"] == "second"; }, 5'000ms));
    world.run_for(1'000ms);
    EXPECT_LT(set(world, "third", &value), 100ms);
    EXPECT_EQ(outcome_of(*value, "n2"), node_outcome::active);
    EXPECT_NE(value->id, asked_again);
    expect_sound(world);
  }
}

TEST(cluster_straggler, the_first_value_waits_since_nobody_s_pace_is_known) {
  simulation world({.nodes = 3});
  world.run_for(3'000ms);
  slow_down(world, "n1", 300ms);
  const simulation::client* value = nullptr;
  const auto took = set(world, "first", &value);
  EXPECT_GE(took, 300ms);
  EXPECT_LT(took, 500ms);
  EXPECT_EQ(outcome_of(*value, "n1"), node_outcome::active);
  expect_sound(world);
}

TEST(cluster_straggler, one_that_is_usually_a_little_late_is_waited_for) {
  simulation world({.nodes = 3});
  slow_down(world, "n1", 30ms);
  warm_up(world);
  for (int i = 0; i < 20; ++i) {
    const simulation::client* value = nullptr;
    EXPECT_GE(set(world, std::to_string(i), &value), 30ms);
    EXPECT_EQ(outcome_of(*value, "n1"), node_outcome::active) << i;
  }
  expect_sound(world);
}

TEST(cluster_straggler, one_that_is_always_very_late_is_not) {
  simulation world({.nodes = 3});
  world.run_for(3'000ms);
  slow_down(world, "n1", 400ms);
  const simulation::client* value = nullptr;
  for (unsigned i = 0; i < ack_pace::samples_needed; ++i) set(world, std::to_string(i), &value);
  for (int i = 0; i < 5; ++i) {
    world.run_for(1'000ms);
    EXPECT_LT(set(world, std::to_string(i), &value), 25ms);
    EXPECT_EQ(value->last->state, "applied");
    EXPECT_EQ(outcome_of(*value, "n1"), node_outcome::behind);
    EXPECT_EQ(world.at("n1").values["limit"], std::to_string(i));
  }
  expect_sound(world);
}

TEST(cluster_straggler, when_most_are_late_it_is_everybody_s_trouble) {
  simulation world({.nodes = 4});
  warm_up(world);
  // Two thirds of the nodes stand still for half a second.
  const instant until = world.now() + 500ms;
  world.filter = [&](const std::string& from, const std::string& to, const message& what) {
    if (!from.starts_with("n") || from == "n0" || world.now() >= until) return true;
    if (!std::holds_alternative<acknowledgements>(what)) return true;
    world.after(std::chrono::duration_cast<milliseconds>(until - world.now()),
                [&world, from, to, what] { world.deliver(from, to, what); });
    return false;
  };
  const simulation::client* value = nullptr;
  EXPECT_GE(set(world, "late", &value), 450ms);
  for (const char* name : {"n0", "n1", "n2", "n3"}) {
    EXPECT_EQ(outcome_of(*value, name), node_outcome::active) << name;
  }
  expect_sound(world);
}

TEST(cluster_straggler, who_asks_later_hears_that_it_came_after_all) {
  simulation world({.nodes = 3});
  warm_up(world);
  slow_down(world, "n1", 50ms);
  const simulation::client* value = nullptr;
  set(world, "late", &value);
  ASSERT_EQ(outcome_of(*value, "n1"), node_outcome::behind);
  world.run_for(200ms);
  const auto& again = world.submit_signed("c0", value->what, value->id);
  ASSERT_TRUE(world.run_until([&] { return again.is_done; }, 5'000ms));
  EXPECT_EQ(again.last->state, "applied");
  EXPECT_EQ(outcome_of(again, "n1"), node_outcome::active);
  expect_sound(world);
}

TEST(cluster_straggler, a_push_waits_for_it_until_it_is_gone) {
  simulation world({.nodes = 3});
  warm_up(world);
  freeze(world, "n1");
  const simulation::client* value = nullptr;
  set(world, "first", &value);
  ASSERT_EQ(outcome_of(*value, "n1"), node_outcome::behind);
  const instant begun = world.now();
  const auto& push = world.push("c0", "shop", 1);
  EXPECT_GE(time_of(world, push, begun), 1'000ms);
  expect_sound(world);
}

}  // namespace
}  // namespace troupe::tests
