// SPDX-License-Identifier: Apache-2.0
#include "net/log.hpp"

#include <gtest/gtest.h>

namespace troupe::net {
TEST(log, names_levels_as_nginx_does) {
  EXPECT_EQ(name(log_level::error), "error");
  EXPECT_EQ(name(log_level::stderr_), "");
  EXPECT_EQ(name(static_cast<log_level>(99)), "");
}

TEST(log, what_a_peer_sent_cannot_forge_a_line) {
  using namespace std::string_view_literals;
  std::string out = "request: ";
  append_escaped(out, "GET /\n2026 [\x1b[2J\0\x7f \xc3\xa9\"\\"sv);
  EXPECT_EQ(out, "request: GET /\\x0A2026 [\\x1B[2J\\x00\\x7F \xc3\xa9\"\\");
}
}  // namespace troupe::net
