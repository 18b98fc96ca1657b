// SPDX-License-Identifier: Apache-2.0
#include "runtime/system_hint.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace troupe {
namespace {

TEST(system_hint, says_what_an_operator_can_do) {
  EXPECT_NE(system_hint(EMFILE).find("ulimit -n"), std::string::npos);
  EXPECT_NE(system_hint(EROFS).find("mount it writable"), std::string::npos);
  EXPECT_TRUE(system_hint(EACCES).starts_with("user ")) << system_hint(EACCES);
  EXPECT_EQ(system_hint(ENOSPC), "make room on that disk");
  EXPECT_EQ(system_hint(EIO), "");
  EXPECT_EQ(system_hint(0), "");
}

TEST(system_hint, finds_the_number_in_a_reason) {
  EXPECT_EQ(error_number_in("open \"/x\" failed (30: Read-only file system)"), 30);
  EXPECT_EQ(error_number_in("a.lua: open \"/failed (1\" failed (24: Too many open files)"), 24);
  for (const char* none : {"", "no release 9", "open failed (", "failed (x: y)", "failed (24",
                           "failed (99999999999: y)"}) {
    EXPECT_EQ(error_number_in(none), 0) << none;
  }
}

}  // namespace
}  // namespace troupe
