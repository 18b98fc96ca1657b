// SPDX-License-Identifier: Apache-2.0
#include "troupe/diagnostic.hpp"

#include <gtest/gtest.h>

namespace troupe {

TEST(diagnostic, a_command_shows_the_place_first) {
  EXPECT_EQ(text({.file = "nginx.conf", .line = 12, .reason = "unknown directive \"sever\""}),
            "nginx.conf:12: unknown directive \"sever\"");
  EXPECT_EQ(text({.file = "nginx.conf", .reason = "is empty"}), "nginx.conf: is empty");
  EXPECT_EQ(text({.reason = "no cores"}), "no cores");
}

TEST(diagnostic, nginx_shows_the_place_last) {
  EXPECT_EQ(nginx_text({.file = "/a/nginx.conf", .line = 12, .reason = "unexpected \"}\""}),
            "unexpected \"}\" in /a/nginx.conf:12");
  EXPECT_EQ(nginx_text({.file = "/a/nginx.conf", .reason = "bad"}), "bad in /a/nginx.conf");
  EXPECT_EQ(nginx_text({.reason = "bad"}), "bad");
}

TEST(diagnostic, a_warning_does_not_forbid_a_start) {
  diagnostics problems = {{.reason = "deprecated", .level = net::log_level::warn}};
  EXPECT_FALSE(is_fatal(problems));
  problems.push_back({.reason = "bad"});
  EXPECT_TRUE(is_fatal(problems));
  EXPECT_FALSE(is_fatal({}));
}

}  // namespace troupe
