// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/spelling.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(spelling, finds_what_was_meant) {
  constexpr std::string_view names[] = {"run", "check", "version"};
  EXPECT_EQ(nearest("rum", names), (std::vector<std::string_view>{"run"}));
  EXPECT_EQ(nearest("chekc", names), (std::vector<std::string_view>{"check"}));
  EXPECT_EQ(nearest("verison", names), (std::vector<std::string_view>{"version"}));
  EXPECT_TRUE(nearest("frobnicate", names).empty());
  EXPECT_TRUE(nearest("", names).empty());
}

}  // namespace
}  // namespace troupe
