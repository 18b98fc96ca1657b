// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/lua_block.hpp"

#include <gtest/gtest.h>

namespace troupe::conf {
namespace {

std::string code(std::string_view text) {
  const auto block = scan_lua_block(text, 1);
  return block ? std::string(text.substr(0, block->size)) : "error: " + block.error().reason;
}

std::string error(std::string_view text) {
  const auto block = scan_lua_block(text, 10);
  return block ? "no error" : std::to_string(block.error().line) + ": " + block.error().reason;
}

constexpr auto unclosed =
    "unexpected end of file, expecting terminating characters for lua code block";

}  // namespace

TEST(conf_lua_block, ends_at_the_brace_that_balances) {
  EXPECT_EQ(code("} x"), "");
  EXPECT_EQ(code(" a = {{}, {1}} } }"), " a = {{}, {1}} ");
}

TEST(conf_lua_block, does_not_count_braces_in_strings) {
  EXPECT_EQ(code(R"( a = "}" b = '{' c = "\"}" d = '\'}' e = "\\" } x)"),
            R"( a = "}" b = '{' c = "\"}" d = '\'}' e = "\\" )");
  EXPECT_EQ(code(" a = [[ } ]] b = [==[ } ]] ]=] ]==] } x"),
            " a = [[ } ]] b = [==[ } ]] ]=] ]==] ");
  EXPECT_EQ(code(" t[t[1]] = [[']] } x"), " t[t[1]] = [[']] ");
}

TEST(conf_lua_block, does_not_count_braces_in_comments) {
  EXPECT_EQ(code(" -- } it's\n } x"), " -- } it's\n ");
  EXPECT_EQ(code(" --[[ }\n ]] --[=[ ]] } ]=] } x"), " --[[ }\n ]] --[=[ ]] } ]=] ");
  EXPECT_EQ(code(" --[ }\n } x"), " --[ }\n ");
  EXPECT_EQ(code(" a = [[ -- ]] } x"), " a = [[ -- ]] ");
}

TEST(conf_lua_block, takes_an_unclosed_quote_for_no_string) {
  EXPECT_EQ(code(" ngx.say(\"}) \n } x"), " ngx.say(\"");
  EXPECT_EQ(code("'x\ny }'"), "'x\ny ");
}

TEST(conf_lua_block, leaves_a_stray_closing_bracket_alone) {
  EXPECT_EQ(code("]] ]=] }"), "]] ]=] ");
}

TEST(conf_lua_block, counts_lines_to_its_end) {
  EXPECT_EQ(scan_lua_block("\n a = [[\n\n]] --[[\n]]\n}", 10)->end_line, 15U);
}

TEST(conf_lua_block, says_where_the_brace_was_opened_that_is_not_closed) {
  EXPECT_EQ(error("\n\n ngx.say('a')\n"), "10: " + std::string(unclosed));
  EXPECT_EQ(error("\n\n a = {\n} b = {\n\n"), "13: " + std::string(unclosed));
  EXPECT_EQ(error(" -- }"), "10: " + std::string(unclosed));
}

TEST(conf_lua_block, says_which_long_bracket_is_not_closed) {
  EXPECT_EQ(
      error("\n ngx.say([[a)\n } }"),
      "11: Lua code block missing the closing long bracket \"]]\", the inlined Lua code may be "
      "too long");
  EXPECT_EQ(
      error("\n --[==[a]])\n } }"),
      "11: Lua code block missing the closing long bracket \"]==]\", the inlined Lua code may "
      "be too long");
}

TEST(conf_lua_block, survives_a_cut_at_every_byte) {
  const std::string_view text = " a = '\\'' b = [=[ ] ]= ]=] --[[ x ]] { \"y\\\n\" } -- z\n }";
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(scan_lua_block(text.substr(0, size), 1).has_value()) << size;
  EXPECT_TRUE(scan_lua_block(text, 1).has_value());
}

}  // namespace troupe::conf
