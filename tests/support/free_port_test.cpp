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

TEST(free_port, several_are_in_a_row_and_nobody_elses) {
  std::vector<free_port> pairs;
  for (int n = 0; n < 10; ++n) pairs.emplace_back(2);
  const std::vector<free_port> singles(20);
  std::set<int> numbers;
  for (const auto& pair : pairs) numbers.insert({pair.number(), pair.number() + 1});
  for (const auto& port : singles) numbers.insert(port.number());
  EXPECT_EQ(numbers.size(), 2 * pairs.size() + singles.size());
}
}  // namespace troupe::tests
