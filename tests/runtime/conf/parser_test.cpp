// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/parser.hpp"

#include <gtest/gtest.h>

namespace troupe::conf {
namespace {

parse_result parse(std::string_view text, memory_files::file_map files = {}) {
  memory_files source(std::move(files));
  return parse_text(source, "conf/nginx.conf", text);
}

/// The tree in one line: `name args { … }`.
std::string flat(const std::vector<directive>& tree) {
  std::string text;
  for (const auto& entry : tree) {
    if (!text.empty()) text += ' ';
    text += entry.name;
    for (const auto& arg : entry.args) text += ' ' + arg;
    if (entry.is_lua)
      text += " {" + entry.lua_block + "}";
    else if (entry.has_block)
      text += " { " + flat(entry.children) + " }";
    else
      text += ';';
  }
  return text;
}

std::vector<std::string> errors(const parse_result& result) {
  std::vector<std::string> texts;
  for (const auto& each : result.errors)
    texts.push_back(each.file + ":" + std::to_string(each.line) + ": " + each.reason);
  return texts;
}

using lines = std::vector<std::string>;

}  // namespace

TEST(conf_parser, makes_a_tree_of_blocks) {
  const auto result = parse("events {}\nhttp {\n  server {\n    listen 80;\n  }\n  a b c;\n}\n");
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(flat(result.directives), "events {  } http { server { listen 80; } a b c; }");
  const auto& server = result.directives[1].children[0];
  EXPECT_EQ(server.file, "conf/nginx.conf");
  EXPECT_EQ(server.line, 3U);
  EXPECT_EQ(server.end_line, 5U);
  EXPECT_EQ(server.children[0].line, 4U);
  EXPECT_EQ(server.children[0].end_line, 4U);
}

TEST(conf_parser, reads_lua_blocks_by_their_names) {
  const auto result = parse(
      "location / {\n set_by_lua_block $a\n { return '}' }\n content_by_lua_block {\n x()\n}\n}");
  EXPECT_EQ(flat(result.directives),
            "location / { set_by_lua_block $a { return '}' } content_by_lua_block {\n x()\n} }");
  const auto& set = result.directives[0].children[0];
  EXPECT_TRUE(set.is_lua);
  EXPECT_TRUE(set.has_block);
  EXPECT_EQ(set.line, 3U);
  EXPECT_EQ(result.directives[0].children[1].end_line, 6U);
}

TEST(conf_parser, puts_the_directives_of_an_included_file_in_its_place) {
  const auto result = parse("a; include sub/x.conf; d { include /etc/y; }",
                            {{"conf/sub/x.conf", "b;\nc { }"}, {"/etc/y", "z;"}});
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(flat(result.directives), "a; b; c {  } d { z; }");
  EXPECT_EQ(result.directives[2].file, "conf/sub/x.conf");
  EXPECT_EQ(result.directives[2].line, 2U);
  EXPECT_EQ(result.files, (lines{"conf/nginx.conf", "conf/sub/x.conf", "/etc/y"}));
}

TEST(conf_parser, includes_relative_to_the_main_file_also_from_deeper_ones) {
  const auto result = parse("include sub/x;",
                            {{"conf/sub/x", "include y;"}, {"conf/y", "a;"}, {"conf/sub/y", "b;"}});
  EXPECT_EQ(flat(result.directives), "a;");
}

TEST(conf_parser, includes_what_a_pattern_matches_in_order_of_names) {
  const memory_files::file_map files{
      {"conf/d/2.conf", "two;"}, {"conf/d/1.conf", "one;"}, {"conf/d/3.txt", "three;"}};
  EXPECT_EQ(flat(parse("include d/*.conf;", files).directives), "one; two;");
  EXPECT_EQ(flat(parse("include d/[23].*;", files).directives), "two; three;");
  EXPECT_TRUE(parse("include none/*.conf;", files).ok());
}

TEST(conf_parser, names_a_missing_file_and_reads_on) {
  const auto result = parse("a;\ninclude no;\nb;");
  EXPECT_EQ(errors(result), (lines{"conf/nginx.conf:2: open() \"conf/no\" failed (2: No such file "
                                   "or directory)"}));
  EXPECT_EQ(flat(result.directives), "a; b;");
  memory_files none({});
  EXPECT_EQ(errors(parse_file(none, "x/nginx.conf")),
            (lines{":0: open() \"x/nginx.conf\" failed (2: No such file or directory)"}));
}

TEST(conf_parser, refuses_a_malformed_include) {
  EXPECT_EQ(errors(parse("include a b;")),
            (lines{"conf/nginx.conf:1: invalid number of arguments in \"include\" directive"}));
  EXPECT_EQ(errors(parse("include a {}")),
            (lines{"conf/nginx.conf:1: directive \"include\" is not terminated by \";\""}));
}

TEST(conf_parser, ends_include_loops) {
  EXPECT_EQ(errors(parse("include x;", {{"conf/x", "a;\ninclude y;"}, {"conf/y", "include x;"}})),
            (lines{"conf/y:1: \"conf/x\" includes itself"}));
  // No loop, but each level doubles.
  memory_files::file_map files;
  for (int i = 0; i < 40; ++i)
    files["conf/" + std::to_string(i)] =
        "include " + std::to_string(i + 1) + "; include " + std::to_string(i + 1) + ";";
  files["conf/40"] = "";
  const auto result = parse("include 0;", files);
  ASSERT_EQ(result.errors.size(), 1U);
  EXPECT_EQ(result.errors[0].reason, "too many includes");
}

TEST(conf_parser, ends_at_braces_that_do_not_match) {
  EXPECT_EQ(errors(parse("a {\n b;")),
            (lines{"conf/nginx.conf:2: unexpected end of file, expecting \"}\""}));
  EXPECT_EQ(errors(parse("a {}\n}")), (lines{"conf/nginx.conf:2: unexpected \"}\""}));
  // A block must end in the file it began in.
  EXPECT_EQ(errors(parse("a { include x; }", {{"conf/x", "b; }"}})),
            (lines{"conf/x:1: unexpected \"}\""}));
  EXPECT_EQ(errors(parse("include x; }", {{"conf/x", "b {"}})),
            (lines{"conf/x:1: unexpected end of file, expecting \"}\""}));
}

TEST(conf_parser, keeps_what_it_read_before_an_error) {
  EXPECT_EQ(flat(parse("a;\nb { c;\n d").directives), "a; b { c; }");
}

TEST(conf_parser, bounds_the_depth_of_blocks) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "a{";
  const auto result = parse(text);
  ASSERT_EQ(result.errors.size(), 1U);
  EXPECT_EQ(result.errors[0].reason, "too many nested blocks");
}

TEST(conf_parser, takes_parameters_of_the_command_line) {
  EXPECT_EQ(flat(parse_parameters("daemon off; pid '/a b';").directives), "daemon off; pid /a b;");
  EXPECT_EQ(errors(parse_parameters("events {}")),
            (lines{"command line:0: block directives are not supported in -g option"}));
  EXPECT_EQ(errors(parse_parameters("daemon off")),
            (lines{"command line:0: unexpected end of parameter, expecting \";\""}));
}

TEST(conf_parser, resolves_paths_against_a_folder) {
  EXPECT_EQ(resolve_path("conf/", "mime.types"), "conf/mime.types");
  EXPECT_EQ(resolve_path("conf/", "/etc/x"), "/etc/x");
  EXPECT_EQ(folder_of("conf/nginx.conf"), "conf/");
  EXPECT_EQ(folder_of("nginx.conf"), "");
}

}  // namespace troupe::conf
