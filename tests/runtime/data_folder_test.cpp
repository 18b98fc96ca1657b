// SPDX-License-Identifier: Apache-2.0
#include "runtime/data_folder.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

namespace troupe {
namespace {

using tests::temp_dir;
namespace fs = std::filesystem;

TEST(data_folder, is_made_for_its_owner_alone) {
  temp_dir folder;
  auto data = data_folder::take(folder.path() / "state/troupe/local");
  ASSERT_TRUE(data);
  EXPECT_EQ(fs::status(data->path()).permissions(), fs::perms::owner_all);
  EXPECT_EQ(folder.read("state/troupe/local/troupe.pid"), std::to_string(getpid()) + "\n");
}

TEST(data_folder, the_second_is_told_who_has_it) {
  temp_dir folder;
  auto first = data_folder::take(folder.path());
  ASSERT_TRUE(first);
  auto second = data_folder::take(folder.path());
  ASSERT_FALSE(second);
  const std::string start = "the data folder " + folder.path().string() + " is in use by process " +
                            std::to_string(getpid()) + " (";
  EXPECT_TRUE(second.error().reason.starts_with(start)) << second.error().reason;
  EXPECT_NE(second.error().reason.find("runtime_test"), std::string::npos);
  EXPECT_EQ(second.error().hint, "give this node another --name or --data");
}

TEST(data_folder, is_free_again_when_its_owner_has_left) {
  temp_dir folder;
  { ASSERT_TRUE(data_folder::take(folder.path())); }
  EXPECT_EQ(folder.read("troupe.pid"), "");
  EXPECT_TRUE(data_folder::take(folder.path()));
}

TEST(data_folder, a_crash_leaves_no_lock_behind) {
  temp_dir folder;
  folder.write("troupe.pid", "1\n");
  EXPECT_TRUE(data_folder::take(folder.path()));
}

TEST(data_folder, a_path_that_cannot_be_is_refused) {
  temp_dir folder;
  folder.write("file", "");
  auto data = data_folder::take(folder.path() / "file/data");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().reason, "the data folder " + (folder.path() / "file/data").string() +
                                     " cannot be made: Not a directory");
  EXPECT_EQ(data.error().hint, "a file is in its way; --data DIR names another folder");
}

TEST(data_folder, what_a_node_writes_in_it_must_be_writable) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anywhere; tests/e2e/data_folder_test.cpp does";
  temp_dir folder;
  fs::create_directory(folder.path() / "store");
  fs::permissions(folder.path() / "store", fs::perms(0555));
  const auto data = data_folder::take(folder.path());
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().reason, "the data folder " + folder.path().string() +
                                     " cannot be written, its store: Permission denied");
}

}  // namespace
}  // namespace troupe
