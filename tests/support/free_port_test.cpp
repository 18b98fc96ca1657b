// SPDX-License-Identifier: Apache-2.0
#include "tests/support/free_port.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace troupe::tests {
TEST(free_port, is_never_given_twice) {
  std::vector<free_port> ports(20);
  std::set<int> numbers;
  for (const auto& port : ports) numbers.insert(port.number());
  EXPECT_EQ(numbers.size(), ports.size());
  EXPECT_EQ(numbers.count(0), 0u);
}
}  // namespace troupe::tests
