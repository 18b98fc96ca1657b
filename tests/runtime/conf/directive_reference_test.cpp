// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/directive_reference.hpp"

#include <gtest/gtest.h>

namespace troupe::conf {

TEST(directive_reference, renders_a_row_with_all_it_knows) {
  const directive_row rows[] = {
      {.name = "root",
       .contexts = context::http | context::server,
       .syntax = "path",
       .standard = "html",
       .help = "The folder that files are served from.",
       .once = true},
      {.name = "rewrite_by_lua_block",
       .contexts = context::if_in_location,
       .arguments = takes::none,
       .merge = merging::none,
       .help = "Runs Lua.",
       .body = body_kind::lua},
  };
  const directive_module modules[] = {{"ngx_http_core_module", "The core.", rows}};
  EXPECT_EQ(directive_reference(directive_table(modules)),
            "# Directives\n\n"
            "Every directive that an app's `nginx.conf` may use. This page is generated from the "
            "table that reads the configuration.\n\n"
            "## ngx_http_core_module\n\nThe core.\n\n"
            "### root\n\nThe folder that files are served from.\n\n"
            "- Syntax: `root path;`\n- Default: `root html;`\n- Context: http, server\n"
            "- Merging: an inner block takes the value over unless it sets its own\n"
            "- Repeated: an error, once in a block\n\n"
            "### rewrite_by_lua_block\n\nRuns Lua.\n\n"
            "- Syntax: `rewrite_by_lua_block { lua }`\n- Context: if in location\n");
}

}  // namespace troupe::conf
