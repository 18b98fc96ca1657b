// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/file_source.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace troupe::conf {

TEST(file_source, reads_and_matches_files_of_the_disk) {
  std::string folder = (std::filesystem::temp_directory_path() / "troupe-conf-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  for (const auto* name : {"/b.conf", "/a.conf", "/c.txt"}) std::ofstream(folder + name) << name;
  disk_files disk;
  EXPECT_EQ(disk.read(folder + "/a.conf").value(), "/a.conf");
  EXPECT_EQ(disk.match(folder + "/*.conf"),
            (std::vector<std::string>{folder + "/a.conf", folder + "/b.conf"}));
  EXPECT_TRUE(disk.match(folder + "/*.none").empty());
  EXPECT_EQ(disk.read(folder + "/none").error(), ENOENT);
  EXPECT_EQ(disk.read(folder).error(), EISDIR);
  std::filesystem::remove_all(folder);
}

TEST(file_source, does_not_match_across_folders_in_memory) {
  memory_files files({{"a/x.conf", ""}, {"a/b/y.conf", ""}, {"a/.z.conf", ""}});
  EXPECT_EQ(files.match("a/*.conf"), (std::vector<std::string>{"a/x.conf"}));
  EXPECT_EQ(files.read("a/none").error(), ENOENT);
}

TEST(file_source, tells_patterns_from_paths) {
  EXPECT_TRUE(is_pattern("conf.d/*.conf"));
  EXPECT_TRUE(is_pattern("x[12]"));
  EXPECT_FALSE(is_pattern("mime.types"));
}

}  // namespace troupe::conf
