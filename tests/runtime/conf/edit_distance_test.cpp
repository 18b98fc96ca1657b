// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/edit_distance.hpp"

#include <gtest/gtest.h>

namespace troupe::conf {
namespace {

TEST(edit_distance, counts_each_kind_of_edit_once) {
  EXPECT_EQ(edit_distance("server", "server", 3), 0u);
  EXPECT_EQ(edit_distance("sever", "server", 3), 1u);
  EXPECT_EQ(edit_distance("serverr", "server", 3), 1u);
  EXPECT_EQ(edit_distance("sarver", "server", 3), 1u);
  EXPECT_EQ(edit_distance("sevrer", "server", 3), 1u);
  EXPECT_EQ(edit_distance("", "run", 3), 3u);
}

TEST(edit_distance, gives_up_above_the_limit) {
  EXPECT_GT(edit_distance("a", "abcdef", 2), 2u);
  EXPECT_GT(edit_distance("abc", "xyz", 2), 2u);
}

}  // namespace
}  // namespace troupe::conf
