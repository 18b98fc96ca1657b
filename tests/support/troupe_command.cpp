// SPDX-License-Identifier: Apache-2.0
#include "tests/support/troupe_command.hpp"

namespace troupe::tests {

finished ask(const test_node& node, std::vector<std::string> words) {
  words.insert(words.end(), {"--data", node.data().string()});
  return run_troupe(std::move(words));
}

}  // namespace troupe::tests
