// SPDX-License-Identifier: Apache-2.0
//
// The command line against a running test_node: `ask(node, {"apply", folder})`.
#pragma once

#include <string>
#include <vector>

#include "tests/support/test_node.hpp"

namespace troupe::tests {

/// Runs `troupe WORDS… --data DATA`, the data folder of the node.
finished ask(const test_node& node, std::vector<std::string> words);

}  // namespace troupe::tests
