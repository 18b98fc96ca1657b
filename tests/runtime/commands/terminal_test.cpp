// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/terminal.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(terminal, an_error_is_a_line_and_its_hint_another) {
  EXPECT_EQ(complaint({.file = "a/nginx.conf",
                       .line = 3,
                       .reason = "unknown directive \"sever\"",
                       .hint = "did you mean \"server\"?"},
                      false),
            "a/nginx.conf:3: unknown directive \"sever\"\n  hint: did you mean \"server\"?\n");
  EXPECT_EQ(complaint({.reason = "no"}, false), "no\n");
}

TEST(terminal, a_warning_says_that_it_is_one) {
  EXPECT_EQ(
      complaint({.file = "a", .line = 1, .reason = "old", .level = net::log_level::warn}, false),
      "a:1: warning: old\n");
}

TEST(terminal, colour_changes_no_text) {
  std::string coloured = complaint({.file = "a", .line = 1, .reason = "bad"}, true);
  EXPECT_EQ(coloured, "\033[1ma:1: \033[0m\033[31mbad\033[0m\n");
}

TEST(terminal, a_file_s_bytes_cannot_talk_to_the_terminal) {
  EXPECT_EQ(complaint({.file = "a\n", .line = 1, .reason = "near \x1b[2J\nline two"}, false),
            "a\\x0A:1: near \\x1B[2J\nline two\n");
}

TEST(terminal, a_pipe_gets_no_colour) {
  std::FILE* file = std::tmpfile();
  EXPECT_FALSE(has_colour(file));
  std::fclose(file);
}

}  // namespace
}  // namespace troupe
