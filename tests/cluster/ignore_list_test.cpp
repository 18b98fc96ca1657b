// SPDX-License-Identifier: Apache-2.0
#include "cluster/ignore_list.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

TEST(glob, stars_stop_at_slashes_and_two_do_not) {
  EXPECT_TRUE(matches_glob("*.lua", "a.lua"));
  EXPECT_FALSE(matches_glob("*.lua", "lib/a.lua"));
  EXPECT_TRUE(matches_glob("**.lua", "lib/a.lua"));
  EXPECT_TRUE(matches_glob("lib/*/a", "lib/x/a"));
  EXPECT_FALSE(matches_glob("lib/*/a", "lib/x/y/a"));
  EXPECT_TRUE(matches_glob("lib/**/a", "lib/x/y/a"));
  EXPECT_TRUE(matches_glob("lib/**/a", "lib/a"));
  EXPECT_TRUE(matches_glob("**/a", "a"));
  EXPECT_TRUE(matches_glob("**", "a/b/c"));
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_FALSE(matches_glob("", "a"));
  EXPECT_TRUE(matches_glob("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(matches_glob("a*b*c", "aXbYbZ"));
}

TEST(glob, question_marks_classes_and_escapes) {
  EXPECT_TRUE(matches_glob("a?c", "abc"));
  EXPECT_FALSE(matches_glob("a?c", "a/c"));
  EXPECT_TRUE(matches_glob("[a-c]x", "bx"));
  EXPECT_FALSE(matches_glob("[a-c]x", "dx"));
  EXPECT_TRUE(matches_glob("[!a-c]x", "dx"));
  EXPECT_FALSE(matches_glob("[!a]", "/"));
  EXPECT_TRUE(matches_glob("[]]", "]"));
  EXPECT_TRUE(matches_glob("[", "["));
  EXPECT_TRUE(matches_glob("\\*", "*"));
  EXPECT_FALSE(matches_glob("\\*", "x"));
  EXPECT_TRUE(matches_glob("\\#a", "#a"));
}

TEST(ignore_list, what_editors_and_nginx_leave_is_never_part_of_a_release) {
  const ignore_list list;
  for (const char* path : {"nginx.conf~", "lua/.a.lua.swp", "lua/.#a.lua", "lua/#a.lua#", ".git"}) {
    EXPECT_TRUE(list.ignores(path, false)) << path;
  }
  for (const char* path : {".git", "lua/.git", "logs", "client_body_temp"}) {
    EXPECT_TRUE(list.ignores(path, true)) << path;
  }
  // A file called so, or a folder of that name further down, is the app's.
  EXPECT_FALSE(list.ignores("logs", false));
  EXPECT_FALSE(list.ignores("lua/logs", true));
  EXPECT_FALSE(list.ignores("lua/my_temp", true));
  for (const char* path : {"nginx.conf", "lua/a.lua", ".gitignore", ".troupeignore"}) {
    EXPECT_FALSE(list.ignores(path, false)) << path;
  }
}

TEST(ignore_list, takes_a_pattern_a_line) {
  const ignore_list list("# a comment\n\n*.md\r\n/build\nnode_modules/\nlua/*_spec.lua\n\\#x  \n");
  EXPECT_TRUE(list.ignores("README.md", false));
  EXPECT_TRUE(list.ignores("docs/README.md", false));
  EXPECT_TRUE(list.ignores("build", true));
  EXPECT_FALSE(list.ignores("lua/build", true));
  EXPECT_TRUE(list.ignores("web/node_modules", true));
  EXPECT_FALSE(list.ignores("web/node_modules", false));
  EXPECT_TRUE(list.ignores("lua/a_spec.lua", false));
  EXPECT_FALSE(list.ignores("lua/b/a_spec.lua", false));
  EXPECT_TRUE(list.ignores("#x", false));
  EXPECT_FALSE(list.ignores(" a comment", false));
}

TEST(ignore_list, the_last_pattern_that_matches_decides) {
  const ignore_list list("*.md\n!README.md\n!/logs/\n");
  EXPECT_TRUE(list.ignores("a.md", false));
  EXPECT_FALSE(list.ignores("README.md", false));
  EXPECT_FALSE(list.ignores("logs", true));
}

}  // namespace
}  // namespace troupe::cluster
