// SPDX-License-Identifier: Apache-2.0
#include "net/log.hpp"

#include <gtest/gtest.h>

namespace troupe::net {
TEST(log, names_levels_as_nginx_does) {
  EXPECT_EQ(name(log_level::error), "error");
  EXPECT_EQ(name(log_level::stderr_), "");
  EXPECT_EQ(name(static_cast<log_level>(99)), "");
}
}  // namespace troupe::net
