// SPDX-License-Identifier: Apache-2.0
//
// What tests on a simulated cluster begin and end with.
//
// Called   by tests/cluster's scenario_test, attack_test and straggler_test.
#pragma once

#include "tests/cluster/simulation.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {

inline void expect_sound(simulation& world) {
  world.converge();
  for (const std::string& problem : world.problems()) ADD_FAILURE() << problem;
}

inline bool await(simulation& world, const simulation::client& what) {
  return world.run_until([&] { return what.is_done; }, milliseconds(30'000));
}

/// With a first release active everywhere.
inline void begin(simulation& world) {
  world.run_for(milliseconds(3'000));
  auto& first = world.push("c0", "shop", 1);
  ASSERT_TRUE(await(world, first));
  ASSERT_EQ(first.last->state, "active") << first.last->reason;
}

}  // namespace troupe::tests
