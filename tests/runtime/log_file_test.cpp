// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_file.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace troupe {
namespace {

using tests::temp_dir;

TEST(log_file, appends_to_what_is_there) {
  temp_dir folder;
  folder.write("a.log", "old\n");
  auto file = log_file::open(folder.path() / "a.log");
  ASSERT_TRUE(file);
  (*file)->write("one ", "line", "\n");
  (*file)->write("two\n");
  EXPECT_EQ(folder.read("a.log"), "old\none line\ntwo\n");
}

TEST(log_file, reopening_makes_the_file_anew_after_it_was_moved) {
  temp_dir folder;
  log_files files;
  auto file = files.open(folder.path() / "a.log");
  ASSERT_TRUE(file);
  (*file)->write("before\n");
  std::filesystem::rename(folder.path() / "a.log", folder.path() / "a.log.1");
  (*file)->write("still the old one\n");
  EXPECT_TRUE(files.reopen().empty());
  (*file)->write("after\n");
  EXPECT_EQ(folder.read("a.log.1"), "before\nstill the old one\n");
  EXPECT_EQ(folder.read("a.log"), "after\n");
}

TEST(log_file, a_failing_reopen_keeps_the_old_file_and_says_why) {
  temp_dir folder;
  log_files files;
  std::filesystem::create_directory(folder.path() / "logs");
  auto file = files.open(folder.path() / "logs/a.log");
  ASSERT_TRUE(file);
  std::filesystem::rename(folder.path() / "logs", folder.path() / "moved");
  auto failures = files.reopen();
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].reason, "open() \"" + (folder.path() / "logs/a.log").string() +
                                    "\" failed (2: No such file or directory)");
  (*file)->write("not lost\n");
  EXPECT_EQ(folder.read("moved/a.log"), "not lost\n");
}

TEST(log_file, one_path_is_one_file_as_long_as_someone_holds_it) {
  temp_dir folder;
  log_files files;
  auto first = files.open(folder.path() / "a.log");
  auto second = files.open(folder.path() / "a.log");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->get(), second->get());
  EXPECT_NE(files.open(folder.path() / "b.log")->get(), first->get());
}

TEST(log_file, a_full_disk_loses_the_line_and_nothing_else) {
  auto file = log_file::open("/dev/full");
  ASSERT_TRUE(file);
  errno = 77;
  (*file)->write("never seen\n");
  EXPECT_EQ(errno, 77);
}

TEST(log_file, lines_of_threads_do_not_mix_while_the_file_is_reopened) {
  temp_dir folder;
  log_files files;
  auto file = files.open(folder.path() / "a.log");
  ASSERT_TRUE(file);
  constexpr int lines = 2000;
  {
    std::vector<std::jthread> writers;
    for (char name : {'a', 'b', 'c'}) {
      writers.emplace_back([&file, name] {
        const std::string text(40, name);
        for (int i = 0; i < lines; ++i) (*file)->write(text, text, "\n");
      });
    }
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(files.reopen().empty());
  }
  const std::string all = folder.read("a.log");
  EXPECT_EQ(all.size(), 3u * lines * 81);
  for (std::size_t at = 0; at < all.size(); at += 81) {
    ASSERT_EQ(all.substr(at, 81), std::string(80, all[at]) + "\n");
  }
}

}  // namespace
}  // namespace troupe
