// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/lua/api_state.hpp"

namespace troupe::lua {
namespace {

class ndk : public testing::Test {
 protected:
  std::string run(const std::string& code) { return lua_.run(code); }
  api_state lua_{&core_area, &codec_area, &digest_area, &ndk_area};
};

TEST_F(ndk, calls_directives_that_make_one_value_of_another) {
  EXPECT_EQ(run("return ndk.set_var.set_escape_uri(' :'), ndk.set_var.set_unescape_uri('a%20b')"),
            "%20%3A, a b");
  EXPECT_EQ(run("return ndk.set_var.set_quote_sql_str(\"it's\")"), R"('it\'s')");
  EXPECT_EQ(run("return ndk.set_var.set_quote_json_str('a\"\\n\\1')"), R"("a\"\n\u0001")");
  EXPECT_EQ(
      run("return ndk.set_var.set_quote_json_str('\\127'), ndk.set_var.set_quote_json_str('')"),
      "\"\x7f\", null");
  EXPECT_EQ(run("return ndk.set_var.set_md5('hello'), ndk.set_var.set_sha1('hello')"),
            "5d41402abc4b2a76b9719d911017c592, aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
}

TEST_F(ndk, encodes_and_decodes) {
  EXPECT_EQ(run("return ndk.set_var.set_encode_base64('abcde')"), "YWJjZGU=");
  EXPECT_EQ(run("return ndk.set_var.set_decode_base64('YWJjZGU=')"), "abcde");
  EXPECT_EQ(run("return ndk.set_var.set_encode_hex('a\\255'), ndk.set_var.set_decode_hex('6162')"),
            "61ff, ab");
  EXPECT_EQ(run("return ndk.set_var.set_encode_base32('foob')"), "cpnmuog=");
  EXPECT_EQ(run(R"(
    for size = 0, 40 do
      local text = ("\255\0\127x"):rep(10):sub(1, size)
      if ndk.set_var.set_decode_base32(ndk.set_var.set_encode_base32(text)) ~= text then
        return size
      end
    end
    return "same")"),
            "same");
}

TEST_F(ndk, refuses_unknown_directives_and_assignments) {
  EXPECT_EQ(run("local s = ndk.set_var.content_by_lua(' ') return s"),
            "raised: test:1: ndk.set_var: directive \"content_by_lua\" not found or does not use "
            "ndk_set_var_value");
  EXPECT_EQ(run("ndk.set_var.set_md5 = 1"), "raised: test:1: not allowed");
  EXPECT_EQ(run("local s = ndk.set_var.set_decode_hex('x') return s"),
            "raised: test:1: calling directive set_decode_hex failed with code -1");
}

}  // namespace
}  // namespace troupe::lua
