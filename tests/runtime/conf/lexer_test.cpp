// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/lexer.hpp"

#include <gtest/gtest.h>

namespace troupe::conf {
namespace {

using words = std::vector<std::string>;

std::string place_text(const diagnostic& found) {
  std::string text = found.reason + " in " + found.file;
  return found.line == 0 ? text : text + ":" + std::to_string(found.line);
}

statement first(std::string_view text) {
  auto read = lexer(text, "nginx.conf").next();
  EXPECT_TRUE(read.has_value()) << read.error().reason;
  return read.value_or(statement{});
}

std::string first_error(std::string_view text) {
  lexer reader(text, "nginx.conf");
  for (;;) {
    auto read = reader.next();
    if (!read) return place_text(read.error());
    if (read->end == statement_end::end_of_text) return "no error";
  }
}

}  // namespace

TEST(conf_lexer, cuts_words_at_blanks_and_terminators) {
  EXPECT_EQ(first("root\t/srv/www ;").words, (words{"root", "/srv/www"}));
  EXPECT_EQ(first("a b\r\nc{").words, (words{"a", "b", "c"}));
  EXPECT_EQ(first("a b\r\nc{").end, statement_end::block_start);
  EXPECT_EQ(first("  } ").end, statement_end::block_end);
  EXPECT_EQ(first(" \n\n").end, statement_end::end_of_text);
}

TEST(conf_lexer, replaces_the_escapes_that_nginx_knows_and_leaves_others) {
  EXPECT_EQ(first(R"(a "x\"y" 'it\'s' b\\c t\tr\rn\n;)").words,
            (words{"a", "x\"y", "it's", "b\\c", "t\tr\rn\n"}));
  EXPECT_EQ(first(R"(location ~ ^/\d+\.html$ {)").words,
            (words{"location", "~", R"(^/\d+\.html$)"}));
  EXPECT_EQ(first(R"(a \;b \{ \ c;)").words, (words{"a", R"(\;b)", R"(\{)", R"(\ c)"}));
}

TEST(conf_lexer, keeps_quoted_words_whole) {
  EXPECT_EQ(first("a \"b ; { } # c\" '' ;").words, (words{"a", "b ; { } # c", ""}));
  EXPECT_EQ(first("a 'x\n y'\n;").words, (words{"a", "x\n y"}));
  EXPECT_EQ(first("a b\"c\";").words, (words{"a", "b\"c\""}));
}

TEST(conf_lexer, takes_comments_only_where_a_word_may_begin) {
  EXPECT_EQ(first("# x ; {\nroot # y ;\n/a#b ;").words, (words{"root", "/a#b"}));
  EXPECT_EQ(first("# only").end, statement_end::end_of_text);
}

TEST(conf_lexer, sees_no_block_in_a_variable_with_braces) {
  EXPECT_EQ(first("return 200 ${host}x\"y;").words, (words{"return", "200", "${host}x\"y"}));
  EXPECT_EQ(first("a $b{").words, (words{"a", "$b"}));
  EXPECT_EQ(first("a b${c} {").words, (words{"a", "b${c}"}));
}

TEST(conf_lexer, lets_a_parenthesis_follow_a_quote) {
  EXPECT_EQ(first("if ($a = \"b\") {").words, (words{"if", "($a", "=", "b", ")"}));
}

TEST(conf_lexer, counts_the_line_of_the_terminator) {
  EXPECT_EQ(first("\nroot\n a\n;").line, 4U);
  EXPECT_EQ(first("\nroot a;\n").line, 2U);
  lexer reader("a 'x\ny';\nb {\n", "nginx.conf");
  EXPECT_EQ(reader.next()->line, 2U);
  EXPECT_EQ(reader.next()->line, 3U);
}

TEST(conf_lexer, complains_in_nginx_words) {
  EXPECT_EQ(first_error("a {\n;"), "unexpected \";\" in nginx.conf:2");
  EXPECT_EQ(first_error("{"), "unexpected \"{\" in nginx.conf:1");
  EXPECT_EQ(first_error("root /a }"), "unexpected \"}\" in nginx.conf:1");
  EXPECT_EQ(first_error("root \"/a\"x;"), "unexpected \"x\" in nginx.conf:1");
  EXPECT_EQ(first_error("root \"/a\"};"), "unexpected \"}\" in nginx.conf:1");
  for (const auto* text : {"root /a", "root /a\n", "root '/a;\n", "root \"", "root \\", "root $"})
    EXPECT_TRUE(first_error(text).starts_with(
        "unexpected end of file, expecting \";\" or \"}\" in nginx.conf:"))
        << text;
  EXPECT_EQ(first_error("root '/a;\n\n"),
            "unexpected end of file, expecting \";\" or \"}\" in nginx.conf:3");
}

TEST(conf_lexer, names_the_command_line_as_the_place_of_its_parameters) {
  auto read = lexer::of_parameters("daemon off").next();
  ASSERT_FALSE(read);
  EXPECT_EQ(place_text(read.error()),
            "unexpected end of parameter, expecting \";\" in command line");
}

TEST(conf_lexer, reads_on_after_a_lua_block) {
  lexer reader("content_by_lua_block {\n a = '}'\n} root x;", "nginx.conf");
  EXPECT_EQ(reader.next()->end, statement_end::block_start);
  EXPECT_EQ(reader.read_lua_block().value(), "\n a = '}'\n");
  EXPECT_EQ(reader.line(), 3U);
  EXPECT_EQ(reader.next()->words, (words{"root", "x"}));
}

}  // namespace troupe::conf
