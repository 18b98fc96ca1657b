// SPDX-License-Identifier: Apache-2.0
//
// The cluster's protocol for three nodes, abstracted as far as its rules allow, and searched
// through whole: every order in which appends, announcements that are lost or late,
// acknowledgements, crashes, restarts and promotions can happen, within bounds.
//
// A history is a string with a letter for each change, so that a prefix stands for a digest; what
// was announced or acknowledged once may arrive at any time later, any number of times, or never.
//
// Source   docs/cluster.md, "Invariants".
// Thread   one.
// Called   by tests/model/model_test.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace troupe::tests {

/// A rule that is broken, to see that the search notices.
enum class broken_rule {
  none,
  announce_before_append,
  activate_before_all_are_ready,
  acknowledgements_without_position,
  follow_any_longer_history,
  equal_epochs_are_not_ordered,
  promote_without_the_furthest_history,
  activate_after_abort,
};

struct model_bounds {
  unsigned pushes = 2;
  unsigned crashes = 2;
  unsigned promotions = 2;
};

struct model_result {
  std::size_t states = 0;
  std::string violation;           ///< Empty: all invariants held in all states.
  std::vector<std::string> trace;  ///< The shortest way to it.
};

[[nodiscard]] model_result search(broken_rule broken, model_bounds bounds);

}  // namespace troupe::tests
