// SPDX-License-Identifier: Apache-2.0
#include "runtime/release_needs.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/conf/builder.hpp"
#include "tests/support/temp_dir.hpp"

namespace troupe {
namespace {

using tests::temp_dir;
using needs = std::vector<std::string>;

needs needs_of(const temp_dir& app) {
  auto files = read_app(app.path().string(), [](const cluster::digest&, std::string_view) {
    return tl::expected<void, cluster::refusal>();
  });
  EXPECT_TRUE(files) << (files ? "" : files.error().reason);
  return files ? files->needs : needs{};
}

TEST(release_needs, features_are_directives_of_the_table) {
  for (const std::string_view each : runtime_features()) {
    EXPECT_TRUE(conf::directive_table(conf::all_modules()).knows(each)) << each;
  }
}

TEST(release_needs, are_the_directives_of_its_own_that_an_app_uses) {
  temp_dir app;
  app.write("nginx.conf", R"(lua_max_slice 100ms kill;
      server { location /ws { on_release keep; content_by_lua_block { local drain_timeout = "}" } } }
      # max_live_releases 5;
      include more.conf;)");
  EXPECT_EQ(needs_of(app), (needs{"lua_max_slice", "on_release"}));
  app.write("more.conf", "lua_max_memory 64m;");
  app.write("lua/words.lua", "return [[drain_timeout 3s;]]");
  EXPECT_EQ(needs_of(app), (needs{"lua_max_memory", "lua_max_slice", "on_release"}));
}

TEST(release_needs, a_file_that_is_broken_is_left_to_who_loads_it) {
  temp_dir app;
  app.write("nginx.conf", "on_release keep; content_by_lua_block { \"");
  EXPECT_EQ(needs_of(app), needs{"on_release"});
}

TEST(release_needs, what_this_version_lacks_is_named) {
  cluster::manifest files;
  EXPECT_FALSE(unmet_need(files));
  files.needs = {"lua_max_slice", "on_release"};
  EXPECT_FALSE(unmet_need(files));
  files.needs = {"lua_max_slice", "time_travel"};
  const auto lacks = unmet_need(files);
  ASSERT_TRUE(lacks);
  EXPECT_EQ(lacks->reason, "the release needs time_travel, which this version of troupe does not have");
}

}  // namespace
}  // namespace troupe
