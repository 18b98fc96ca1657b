// SPDX-License-Identifier: Apache-2.0
#include "runtime/pid_file.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

namespace troupe {
namespace {

using tests::temp_dir;

TEST(pid_file, is_there_as_long_as_its_process_serves) {
  temp_dir folder;
  const std::string path = folder.path() / "nginx.pid";
  {
    auto file = pid_file::write(path);
    ASSERT_TRUE(file);
    EXPECT_EQ(folder.read("nginx.pid"), std::to_string(getpid()) + "\n");
    EXPECT_EQ(*pid_file::read(path), getpid());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(pid_file, a_successor_s_file_is_left_alone) {
  temp_dir folder;
  const std::string path = folder.path() / "nginx.pid";
  {
    auto file = pid_file::write(path);
    ASSERT_TRUE(file);
    folder.write("nginx.pid", "1\n");
  }
  EXPECT_EQ(folder.read("nginx.pid"), "1\n");
}

TEST(pid_file, says_in_nginx_s_words_what_is_wrong) {
  temp_dir folder;
  const std::string path = folder.path() / "nginx.pid";
  EXPECT_EQ(pid_file::read(path).error().reason,
            "open() \"" + path + "\" failed (2: No such file or directory)");
  folder.write("nginx.pid", "abc\n");
  EXPECT_EQ(pid_file::read(path).error().reason, "invalid PID number \"abc\" in \"" + path + "\"");
  folder.write("nginx.pid", "");
  EXPECT_EQ(pid_file::read(path).error().reason, "invalid PID number \"\" in \"" + path + "\"");
  folder.write("nginx.pid", "-1");
  EXPECT_FALSE(pid_file::read(path));
  const std::string nowhere = folder.path() / "absent/nginx.pid";
  EXPECT_EQ(pid_file::write(nowhere).error().reason,
            "open() \"" + nowhere + "\" failed (2: No such file or directory)");
}

TEST(pid_file, a_full_disk_is_an_error) {
  temp_dir folder;
  const std::string path = folder.path() / "full.pid";
  std::filesystem::create_symlink("/dev/full", path);
  EXPECT_EQ(pid_file::write(path).error().reason,
            "write() \"" + path + "\" failed (28: No space left on device)");
}

}  // namespace
}  // namespace troupe
