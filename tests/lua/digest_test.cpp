// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/lua/api_state.hpp"

namespace troupe::lua {
namespace {

class digest : public testing::Test {
 protected:
  std::string run(const std::string& code) {
    return lua_.run(
        "local function hex(s) return (s:gsub('.', function(c) return "
        "('%02x'):format(c:byte()) end)) end " +
        code);
  }
  api_state lua_{&core_area, &digest_area};
};

TEST_F(digest, is_md5) {
  EXPECT_EQ(run("return ngx.md5('hello')"), "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(run("return ngx.md5(nil), ngx.md5('')"),
            "d41d8cd98f00b204e9800998ecf8427e, d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(run("return hex(ngx.md5_bin(45)), ngx.md5(45)"),
            "6c8349cc7260ae62e3b1396831a8398f, 6c8349cc7260ae62e3b1396831a8398f");
}

TEST_F(digest, is_sha1) {
  EXPECT_EQ(run("return hex(ngx.sha1_bin('abc'))"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(run("return hex(ngx.sha1_bin(nil))"), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST_F(digest, is_a_keyed_sha1_as_in_rfc_2202) {
  EXPECT_EQ(run("return hex(ngx.hmac_sha1(('\\11'):rep(20), 'Hi There'))"),
            "b617318655057264e28bc0b6fb378c8ef146be00");
  EXPECT_EQ(run("return hex(ngx.hmac_sha1('Jefe', 'what do ya want for nothing?'))"),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(run("return hex(ngx.hmac_sha1(('\\170'):rep(80), "
                "'Test Using Larger Than Block-Size Key - Hash Key First'))"),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112");
  EXPECT_EQ(run("local s = ngx.hmac_sha1('x') return s"),
            "raised: test:1: expecting 2 arguments, but got 1");
  EXPECT_EQ(run("local s = ngx.hmac_sha1('x', nil) return s"),
            "raised: test:1: bad argument #2 to 'hmac_sha1' (string expected, got nil)");
}

TEST_F(digest, is_crc32) {
  EXPECT_EQ(run("return ngx.crc32_short('hello'), ngx.crc32_long('hello')"),
            "907060870, 907060870");
  EXPECT_EQ(run("return ngx.crc32_short(''), ngx.crc32_long(nil)"), "0, 0");
  EXPECT_EQ(run("return ngx.crc32_long('123456789')"), "3421780262");
}

TEST_F(digest, is_compiled_when_hot) {
  for (const char* call : {"ngx.md5('a')", "ngx.md5_bin('a')", "ngx.sha1_bin('a')",
                           "ngx.crc32_short('a')", "ngx.hmac_sha1('a', 'b')"}) {
    EXPECT_GT(lua_.traces(std::string("for i = 1, 300 do local s = ") + call + " end"), 0) << call;
  }
}

}  // namespace
}  // namespace troupe::lua
