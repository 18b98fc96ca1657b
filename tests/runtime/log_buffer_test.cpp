// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_buffer.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using tests::temp_dir;

TEST(log_buffer, writes_at_once_without_a_capacity) {
  temp_dir folder;
  log_buffer log(*log_file::open(folder.path() / "access.log"));
  EXPECT_FALSE(log.write("one\n"));
  EXPECT_EQ(folder.read("access.log"), "one\n");
}

TEST(log_buffer, gathers_lines_until_one_does_not_fit) {
  temp_dir folder;
  log_buffer log(*log_file::open(folder.path() / "access.log"), 8);
  log.write("abc\n");
  log.write("def\n");
  EXPECT_EQ(folder.read("access.log"), "");
  log.write("g\n");
  EXPECT_EQ(folder.read("access.log"), "abc\ndef\n");
  log.flush();
  EXPECT_EQ(folder.read("access.log"), "abc\ndef\ng\n");
}

TEST(log_buffer, a_line_longer_than_the_buffer_keeps_its_place) {
  temp_dir folder;
  log_buffer log(*log_file::open(folder.path() / "access.log"), 8);
  log.write("abc\n");
  log.write("much longer than that\n");
  log.write("z\n");
  EXPECT_EQ(folder.read("access.log"), "abc\nmuch longer than that\n");
  EXPECT_EQ(log.waiting_bytes(), 2u);
}

TEST(log_buffer, asks_for_a_timer_with_the_first_line_that_waits) {
  temp_dir folder;
  log_buffer log(*log_file::open(folder.path() / "access.log"), 64, 5s);
  EXPECT_TRUE(log.write("a\n"));
  EXPECT_FALSE(log.write("b\n"));
  log.flush();
  EXPECT_TRUE(log.write("c\n"));
}

TEST(log_buffer, is_written_when_it_ends) {
  temp_dir folder;
  { log_buffer(*log_file::open(folder.path() / "access.log"), 64).write("last\n"); }
  EXPECT_EQ(folder.read("access.log"), "last\n");
}

TEST(access_escape, leaves_a_quoted_field_one_field) {
  const std::string_view text = "a\"b\\c\n\x7f\xc3 ok";
  std::string out(access_escaped_size(text), '.');
  EXPECT_EQ(write_access_escaped(out.data(), text), out.data() + out.size());
  EXPECT_EQ(out, "a\\x22b\\x5Cc\\x0A\\x7F\\xC3 ok");
}

}  // namespace
}  // namespace troupe
