// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/directive_table.hpp"

#include <gtest/gtest.h>

namespace troupe::conf {
namespace {

using namespace context;

constexpr directive_row rows[] = {
    {.name = "events",
     .contexts = main,
     .arguments = takes::none,
     .body = body_kind::block,
     .opens = events},
    {.name = "worker_processes", .contexts = main, .once = true},
    {.name = "http",
     .contexts = main,
     .arguments = takes::none,
     .once = true,
     .body = body_kind::block,
     .opens = http},
    {.name = "server",
     .contexts = http,
     .arguments = takes::none,
     .body = body_kind::block,
     .opens = server},
    {.name = "upstream", .contexts = http, .body = body_kind::block, .opens = upstream},
    {.name = "server", .contexts = upstream, .arguments = takes::one_or_more},
    {.name = "location",
     .contexts = server | location,
     .arguments = takes::one | takes::two,
     .body = body_kind::block,
     .opens = location},
    {.name = "if",
     .contexts = server,
     .arguments = takes::one_or_more,
     .body = body_kind::block,
     .opens = if_in_server},
    {.name = "if",
     .contexts = location,
     .arguments = takes::one_or_more,
     .body = body_kind::block,
     .opens = if_in_location},
    {.name = "types",
     .contexts = http | server | location,
     .arguments = takes::none,
     .body = body_kind::pairs},
    {.name = "root",
     .contexts = http | server | location | if_in_location,
     .syntax = "path",
     .once = true},
    {.name = "tcp_nodelay", .contexts = http | server | location, .arguments = takes::flag},
    {.name = "error_page", .contexts = http | server | location, .arguments = takes::two_or_more},
    {.name = "set",
     .contexts = server | if_in_server | location | if_in_location,
     .arguments = takes::two},
};
constexpr directive_row lua_rows[] = {
    {.name = "rewrite_by_lua",
     .contexts = http | server | location,
     .once = true,
     .group = "rewrite_by_lua"},
    {.name = "rewrite_by_lua_block",
     .contexts = http | server | location,
     .arguments = takes::none,
     .once = true,
     .group = "rewrite_by_lua",
     .body = body_kind::lua},
};
constexpr directive_module modules[] = {{"core", "", rows}, {"lua", "", lua_rows}};

using lines = std::vector<std::string>;

lines check(std::string_view text) {
  memory_files none({});
  const auto parsed = parse_text(none, "f", text);
  EXPECT_TRUE(parsed.ok());
  lines texts;
  for (const auto& each : directive_table(modules).check(parsed.directives))
    texts.push_back(std::to_string(each.line) + ": " + each.reason);
  return texts;
}

std::string hint(std::string_view text) {
  memory_files none({});
  const auto found = directive_table(modules).check(parse_text(none, "f", text).directives);
  return found.empty() ? "nothing found" : found.front().hint;
}

}  // namespace

TEST(directive_table, has_nothing_to_say_about_a_good_configuration) {
  EXPECT_EQ(
      check(
          "worker_processes 1; events {} http { root /a; types { a b c; } upstream u { server a; }"
          " server { root /b; tcp_nodelay ON; location ~ x { if ($a) { set $b c; root /c; }"
          " rewrite_by_lua_block { x } } if ($c = d) { set $a b; } } }"),
      lines{});
}

TEST(directive_table, names_what_it_does_not_know_and_what_is_near) {
  EXPECT_EQ(check("http {\n sever {}\n}"), lines{"2: unknown directive \"sever\""});
  EXPECT_EQ(hint("http { sever {} }"), "did you mean \"server\"?");
  EXPECT_EQ(hint("worker_proceses 1;"), "did you mean \"worker_processes\"?");
  EXPECT_EQ(hint("http { server { lcoation / {} } }"), "did you mean \"location\"?");
  EXPECT_EQ(hint("http { SERVER {} }"), "did you mean \"server\"?");
  EXPECT_EQ(hint("http { gizmo on; }"), "");
  EXPECT_EQ(hint(std::string(100'000, 'a') + ";"), "");
}

TEST(directive_table, does_not_look_into_an_unknown_block) {
  EXPECT_EQ(check("what { is this; }"), lines{"1: unknown directive \"what\""});
}

TEST(directive_table, refuses_what_stands_in_the_wrong_place) {
  EXPECT_EQ(check("root /a;"), lines{"1: \"root\" directive is not allowed here"});
  EXPECT_EQ(hint("root /a;"), "it is allowed in: http, server, location, if");
  EXPECT_EQ(check("http { server { if ($a) { root /a; } } }"),
            lines{"1: \"root\" directive is not allowed here"});
  EXPECT_EQ(check("http { server { if ($a) { if ($b) { } } } }"),
            lines{"1: \"if\" directive is not allowed here"});
  EXPECT_EQ(
      check("location / {\n sett a;\n }"),
      (lines{"1: \"location\" directive is not allowed here", "2: unknown directive \"sett\""}));
}

TEST(directive_table, refuses_wrong_endings) {
  EXPECT_EQ(check("http { root /a {} }"),
            lines{"1: directive \"root\" is not terminated by \";\""});
  EXPECT_EQ(check("http { server { location /; } }"),
            lines{"1: directive \"location\" has no opening \"{\""});
  EXPECT_EQ(check("http { rewrite_by_lua_block; }"),
            lines{"1: directive \"rewrite_by_lua_block\" has no opening \"{\""});
  EXPECT_EQ(check("http { types { a b {} } }"), lines{"1: unexpected \"{\""});
}

TEST(directive_table, counts_arguments) {
  const auto wrong = [](const std::string& name) {
    return lines{"1: invalid number of arguments in \"" + name + "\" directive"};
  };
  EXPECT_EQ(check("http { root; }"), wrong("root"));
  EXPECT_EQ(check("http { root a b; }"), wrong("root"));
  EXPECT_EQ(check("http { tcp_nodelay on on; }"), wrong("tcp_nodelay"));
  EXPECT_EQ(check("http { error_page 404; }"), wrong("error_page"));
  EXPECT_EQ(check("http { upstream u { server; } }"), wrong("server"));
  EXPECT_EQ(check("http { server { location a b c {} } }"), wrong("location"));
  EXPECT_EQ(check("http { rewrite_by_lua_block x {} }"), wrong("rewrite_by_lua_block"));
  EXPECT_EQ(check("http { error_page 1 2 3 4 5 6 7 8 9 10; }"), lines{});
  EXPECT_EQ(hint("http { root; }"), "it is written: root path");
}

TEST(directive_table, refuses_flags_that_are_neither) {
  EXPECT_EQ(check("http { tcp_nodelay maybe; }"),
            lines{"1: invalid value \"maybe\" in \"tcp_nodelay\" directive, it must be \"on\" or "
                  "\"off\""});
}

TEST(directive_table, refuses_a_second_one_where_there_may_be_one) {
  EXPECT_EQ(check("http {\n root a;\n root b;\n}"), lines{"3: \"root\" directive is duplicate"});
  EXPECT_EQ(check("http { root a; server { root b; } server { root b; } }"), lines{});
  EXPECT_EQ(check("http {\n rewrite_by_lua x;\n rewrite_by_lua_block {\n y\n }\n}"),
            lines{"5: \"rewrite_by_lua_block\" directive is duplicate"});
}

TEST(directive_table, gathers_all_errors_in_the_order_of_the_text) {
  EXPECT_EQ(check("http {\n root;\n server {\n  lsiten 80;\n }\n tcp_nodelay x;\n}"),
            (lines{"2: invalid number of arguments in \"root\" directive",
                   "4: unknown directive \"lsiten\"",
                   "6: invalid value \"x\" in \"tcp_nodelay\" directive, it must be \"on\" or "
                   "\"off\""}));
}

TEST(directive_table, finds_the_row_for_a_place) {
  const directive_table table(modules);
  EXPECT_EQ(table.find("server", http)->body, body_kind::block);
  EXPECT_EQ(table.find("server", upstream)->body, body_kind::none);
  EXPECT_EQ(table.find("server", location), nullptr);
  EXPECT_EQ(table.find("nothing", http), nullptr);
}

}  // namespace troupe::conf
