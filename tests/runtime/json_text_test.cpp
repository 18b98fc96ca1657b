// SPDX-License-Identifier: Apache-2.0
#include "runtime/json_text.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

using namespace std::string_view_literals;

TEST(json_text, quotes_what_json_demands) {
  EXPECT_EQ(json_string(""), "\"\"");
  EXPECT_EQ(json_string("a \"b\" \\ /"), R"("a \"b\" \\ /")");
  EXPECT_EQ(json_string("\n\t\0\x1f\x7f"sv), R"("\n\t\u0000\u001f\u007f")");
}

TEST(json_text, keeps_utf_8_and_replaces_what_is_none) {
  EXPECT_EQ(json_string("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xad"),
            "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xad\"");
  EXPECT_EQ(json_string("a\xff"), "\"a\\ufffd\"");
  EXPECT_EQ(json_string("\xc3"), "\"\\ufffd\"");                        // cut off
  EXPECT_EQ(json_string("\xc0\xaf"), "\"\\ufffd\\ufffd\"");             // overlong
  EXPECT_EQ(json_string("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");  // surrogate
  EXPECT_EQ(json_string("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

}  // namespace
}  // namespace troupe
