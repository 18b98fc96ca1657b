// SPDX-License-Identifier: Apache-2.0
#include "runtime/app_folder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace troupe {
namespace {

namespace fs = std::filesystem;

class app_folder_test : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "app_folder_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void file(const fs::path& name) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << "server {}\n";
  }

  fs::path folder_;
};

TEST_F(app_folder_test, a_folder_s_own_nginx_conf_comes_first) {
  file("nginx.conf");
  file("conf/nginx.conf");
  auto app = find_app(folder_);
  ASSERT_TRUE(app);
  EXPECT_EQ(app->prefix, folder_.string() + "/");
  EXPECT_EQ(app->conf, folder_ / "nginx.conf");
}

TEST_F(app_folder_test, a_slash_at_the_end_changes_nothing) {
  file("conf/nginx.conf");
  auto app = find_app(folder_.string() + "/");
  ASSERT_TRUE(app);
  EXPECT_EQ(app->prefix, folder_.string() + "/");
  EXPECT_EQ(app->conf, folder_ / "conf/nginx.conf");
}

TEST_F(app_folder_test, a_conf_file_s_folder_is_the_prefix) {
  file("site.conf");
  auto app = find_app(folder_ / "site.conf");
  ASSERT_TRUE(app);
  EXPECT_EQ(app->prefix, folder_.string() + "/");
  EXPECT_EQ(app->conf, folder_ / "site.conf");
}

TEST_F(app_folder_test, the_prefix_of_a_file_in_conf_is_the_folder_above) {
  file("conf/nginx.conf");
  auto app = find_app(folder_ / "conf" / "nginx.conf");
  ASSERT_TRUE(app);
  EXPECT_EQ(app->prefix, folder_.string() + "/");
}

TEST_F(app_folder_test, what_is_missing_is_named) {
  auto nothing = find_app(folder_ / "absent");
  ASSERT_FALSE(nothing);
  EXPECT_EQ(text(nothing.error()), (folder_ / "absent").string() + ": no such file or folder");
  auto empty = find_app(folder_);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().reason, "neither nginx.conf nor conf/nginx.conf is in this folder");
  EXPECT_FALSE(find_app(""));
}

}  // namespace
}  // namespace troupe
