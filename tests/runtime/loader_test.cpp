// SPDX-License-Identifier: Apache-2.0
#include "runtime/loader.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

std::string named(std::string reason) {
  diagnostics problems{{.file = "/data/trees/0a1b/nginx.conf", .reason = std::move(reason)}};
  release_source source;
  source.prefix = "/data/trees/0a1b/";
  source.digest = "sha256:0a1b";
  name_by_prefix(problems, source);
  EXPECT_EQ(problems[0].file, "nginx.conf");
  return problems[0].reason;
}

TEST(loader, files_of_a_release_are_named_as_the_app_has_them) {
  EXPECT_EQ(named("/data/trees/0a1b/lua/a.lua:3: no"), "lua/a.lua:3: no");
  // As `lua_package_path "$prefix/lua/?.lua"` finds it.
  EXPECT_EQ(named("/data/trees/0a1b//lua/a.lua:3: no"), "lua/a.lua:3: no");
  // As Lua cuts long names.
  EXPECT_EQ(named("...ees/0a1b/lua/a.lua:3: no"), "lua/a.lua:3: no");
  EXPECT_EQ(named("...ees/0a1b//lua/a.lua:3: no"), "lua/a.lua:3: no");
  EXPECT_EQ(named("/usr/share/lua/5.1/a.lua:3: no"), "/usr/share/lua/5.1/a.lua:3: no");
}

}  // namespace
}  // namespace troupe
