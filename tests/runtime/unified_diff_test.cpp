// SPDX-License-Identifier: Apache-2.0
#include "runtime/unified_diff.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

namespace troupe {
namespace {

using tests::temp_dir;

std::string lines(int from, int to) {
  std::string result;
  for (int i = from; i <= to; ++i) result += "line " + std::to_string(i) + '\n';
  return result;
}

TEST(unified_diff, is_empty_for_equal_texts) {
  EXPECT_EQ(unified_diff("a\n", "a\n", "a/x", "b/x"), "");
  EXPECT_EQ(unified_diff("", "", "a/x", "b/x"), "");
}

TEST(unified_diff, shows_three_lines_around_a_change) {
  std::string to = lines(1, 10);
  to.replace(to.find("line 5"), 6, "LINE 5");
  EXPECT_EQ(
      unified_diff(lines(1, 10), to, "a/x", "b/x"),
      "--- a/x\n+++ b/x\n@@ -2,7 +2,7 @@\n line 2\n line 3\n line 4\n-line 5\n+LINE 5\n line 6\n"
      " line 7\n line 8\n");
}

TEST(unified_diff, changes_far_apart_are_hunks_of_their_own) {
  std::string to = lines(1, 30);
  to.replace(to.find("line 5\n"), 7, "");
  to.replace(to.find("line 13\n"), 8, "new\nline 13\n");
  const std::string apart = unified_diff(lines(1, 30), to, "a", "b");
  EXPECT_NE(apart.find("@@ -2,7 +2,6 @@"), std::string::npos) << apart;
  EXPECT_NE(apart.find("@@ -10,6 +9,7 @@"), std::string::npos) << apart;
}

TEST(unified_diff, a_last_line_without_newline_is_marked) {
  EXPECT_EQ(unified_diff("a", "a\n", "a/x", "b/x"),
            "--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n");
}

// The tool that the form is for agrees: it makes the new text of the old one.
TEST(unified_diff, patch_takes_it) {
  if (std::system("command -v patch >/dev/null") != 0) GTEST_SKIP() << "no patch(1)";
  temp_dir folder;
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const auto text = [&](int alphabet) {
      std::string result;
      const int count = static_cast<int>(random() % 40);
      for (int i = 0; i < count; ++i) {
        result += static_cast<char>('a' + random() % static_cast<unsigned>(alphabet));
        result += '\n';
      }
      if (random() % 4 == 0) result += "end";
      return result;
    };
    const std::string from = text(1 + round % 6);
    const std::string to = text(1 + round % 6);
    const auto file = folder.write("x", from);
    const auto patch = folder.write("patch", unified_diff(from, to, "a/x", "b/x"));
    const std::string command =
        "patch -s --no-backup-if-mismatch -F0 " + file.string() + " < " + patch.string();
    if (from != to) {
      ASSERT_EQ(std::system(command.c_str()), 0) << folder.read("patch");
    }
    ASSERT_EQ(folder.read("x"), to) << folder.read("patch");
  }
}

TEST(unified_diff, is_no_longer_than_it_must_be) {
  // Myers's own example: ABCABBA to CBABAC in five edits.
  const std::string diff = unified_diff("A\nB\nC\nA\nB\nB\nA\n", "C\nB\nA\nB\nA\nC\n", "a", "b");
  int edits = -2;  // the names
  for (std::size_t at = 0; at < diff.size(); at = diff.find('\n', at) + 1) {
    if (diff[at] == '-' || diff[at] == '+') ++edits;
  }
  EXPECT_EQ(edits, 5) << diff;
}

TEST(unified_diff, texts_that_share_nothing_are_shown_as_replaced) {
  std::string from;
  std::string to;
  for (int i = 0; i < 20'000; ++i) {
    from += "from " + std::to_string(i) + '\n';
    to += "to " + std::to_string(i) + '\n';
  }
  const std::string diff = unified_diff("same\n" + from, "same\n" + to, "a", "b");
  EXPECT_TRUE(diff.starts_with("--- a\n+++ b\n@@ -1,20001 +1,20001 @@\n same\n-from 0\n-from 1\n"));
}

TEST(unified_diff, a_nul_makes_bytes_binary) {
  EXPECT_TRUE(is_binary(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_binary("\xff\xfe text"));
  EXPECT_FALSE(is_binary(""));
}

}  // namespace
}  // namespace troupe
