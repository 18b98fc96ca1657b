// SPDX-License-Identifier: Apache-2.0
#include "runtime/app_folder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <sys/stat.h>

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
  EXPECT_EQ(nothing.error().hint, folder_.string() + " is there, absent is not in it");
  EXPECT_EQ(find_app(folder_ / "a/b").error().hint, folder_.string() + " is there, a/b is not in it");
  EXPECT_EQ(find_app("").error().reason, "the path is empty");
  fs::create_symlink("gone", folder_ / "link");
  EXPECT_EQ(find_app(folder_ / "link").error().reason, "the link leads to gone, where nothing is");
}

TEST_F(app_folder_test, of_another_kind_than_an_app_is_told_apart) {
  file("site.conf");
  EXPECT_EQ(find_app(folder_.string() + "/site.conf/").error().reason, "this is a file, no folder");
  EXPECT_EQ(find_app(folder_ / "site.conf/more").error().hint,
            (folder_ / "site.conf").string() + " is a file, no folder");
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(find_app(folder_ / "pipe").error().reason, "this is neither a folder nor a file");
  file("main.lua");
  const auto lua = find_app(folder_ / "main.lua");
  EXPECT_EQ(lua.error().reason, "this is a Lua file, no configuration");
  EXPECT_NE(lua.error().hint.find("content_by_lua_file main.lua"), std::string::npos);
  // A release is of a folder.
  EXPECT_EQ(check_app_folder(folder_ / "site.conf").error().reason,
            "this is a file; a release is made of an app's folder");
  file("nginx.conf");
  EXPECT_TRUE(check_app_folder(folder_));
}

TEST_F(app_folder_test, a_folder_without_a_configuration_says_what_may_be_meant) {
  const auto hint = [&] {
    const auto none = find_app(folder_);
    EXPECT_EQ(none.error().reason, "neither nginx.conf nor conf/nginx.conf is in this folder");
    return none.error().hint;
  };
  EXPECT_EQ(hint(), "an app is a folder with an nginx.conf; `server { listen 8080; }` is one");
  fs::create_directory(folder_ / "nginx.conf");
  EXPECT_FALSE(find_app(folder_));
  file("b.lua");
  file("a.lua");
  EXPECT_NE(hint().find("content_by_lua_file a.lua;"), std::string::npos);
  file("main.lua");
  EXPECT_NE(hint().find("content_by_lua_file main.lua;"), std::string::npos);
  file("site.conf");
  EXPECT_EQ(hint(), "call site.conf nginx.conf, or name it: one conf file is served in place");
  file("shop/conf/nginx.conf");
  EXPECT_EQ(hint(), "there is one in its folder shop; name that");
}

}  // namespace
}  // namespace troupe
