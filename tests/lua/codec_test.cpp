// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/lua/api_state.hpp"

namespace troupe::lua {
namespace {

constexpr api_area open_check{
    .name = "open_check",
    .cdef = {},
    .table = nullptr,
    .source = "local _, ngx, _, check = ... ngx.parse_args = check.parse_args",
    .functions = nullptr};

class codec : public testing::Test {
 protected:
  std::string run(const std::string& code) { return lua_.run(code); }
  // The pairs of a table sorted, so that their order in the table does not matter.
  std::string args(const std::string& call) {
    return run(R"(
      local args, err = )" +
               call + R"(
      local lines = {}
      for key, value in pairs(args) do
        if type(value) == "table" then
          for i, v in ipairs(value) do value[i] = tostring(v) end
          value = "[" .. table.concat(value, ",") .. "]"
        end
        lines[#lines + 1] = key .. "=" .. tostring(value)
      end
      table.sort(lines)
      return table.concat(lines, "|") .. (err and " " .. err or ""))");
  }
  api_state lua_{&core_area, &codec_area, &open_check};
};

TEST_F(codec, escapes_a_component_unless_told_otherwise) {
  EXPECT_EQ(run("return ngx.escape_uri('a 你')"), "a%20%E4%BD%A0");
  EXPECT_EQ(run("return ngx.escape_uri(\"-_.~!*'();:@&=+$,/?#\")"),
            "-_.~!*'()%3B%3A%40%26%3D%2B%24%2C%2F%3F%23");
  EXPECT_EQ(run("return ngx.escape_uri('plain')"), "plain");
  EXPECT_EQ(run("return ngx.escape_uri(nil), ngx.escape_uri(false), ngx.escape_uri(12)"), ", , 12");
  EXPECT_EQ(run("return ngx.escape_uri(true)"), "true");
}

TEST_F(codec, escapes_by_type) {
  EXPECT_EQ(run("return ngx.escape_uri('/a b?c#d%+&\"\\'', 0)"), "/a%20b%3Fc%23d%25+&\"'");
  EXPECT_EQ(run("return ngx.escape_uri('/a b?c#d%+&\"\\'', 1)"), "/a%20b%3Fc%23d%25%2B&\"'");
  EXPECT_EQ(run("return ngx.escape_uri('/a b?c#d%+&\"\\'', 3)"), "/a%20b?c%23d%25+&%22%27");
  EXPECT_EQ(run("return ngx.escape_uri('/a b?c#d%+&\"\\'', 4)"), "/a%20b?c#d%+&%22%27");
  EXPECT_EQ(run("return ngx.escape_uri('/a b?c#d%+&\"\\'\\1\\255', 5)"),
            "/a%20b?c#d%25+&\"'%01\xff");
  EXPECT_EQ(run("return ngx.escape_uri('a b', 6)"), "a%20b");
}

TEST_F(codec, refuses_a_wrong_type_of_escaping) {
  EXPECT_EQ(run("local s = ngx.escape_uri('', 'x') return s"), "raised: \"type\" is not a number");
  EXPECT_EQ(run("local s = ngx.escape_uri('', 7) return s"), "raised: \"type\" 7 out of range");
  EXPECT_EQ(run("local s = ngx.escape_uri('', -1) return s"), "raised: \"type\" -1 out of range");
}

TEST_F(codec, unescapes_and_leaves_bad_sequences_alone) {
  EXPECT_EQ(run("return ngx.unescape_uri('%ua%%20%au')"), "%ua% %au");
  EXPECT_EQ(run("return ngx.unescape_uri('a+b%2B%e4%bd%a0')"), "a b+你");
  EXPECT_EQ(run("return ngx.unescape_uri('%'), ngx.unescape_uri('%a'), ngx.unescape_uri('%41')"),
            "%, %a, A");
  EXPECT_EQ(run("return ngx.unescape_uri(nil), ngx.unescape_uri(false)"), ", ");
  EXPECT_EQ(run("return #ngx.unescape_uri(('%20'):rep(100000))"), "100000");
}

TEST_F(codec, parses_arguments) {
  EXPECT_EQ(args("ngx.decode_args('a=bar&b=foo')"), "a=bar|b=foo");
  EXPECT_EQ(args("ngx.decode_args('a=bar&b&c=')"), "a=bar|b=true|c=");
  EXPECT_EQ(args("ngx.decode_args('a=1&a=2&a&b%20c=x+y%26')"), "a=[1,2,true]|b c=x y&");
  EXPECT_EQ(args("ngx.decode_args('=&=3&&a=b=c&')"), "a=b=c");
  EXPECT_EQ(args("ngx.decode_args('')"), "");
  EXPECT_EQ(args("ngx.decode_args('&&&')"), "");
}

TEST_F(codec, stops_at_the_limit) {
  EXPECT_EQ(args("ngx.decode_args('a=1&b=2&c=3', 2)"), "a=1|b=2 truncated");
  EXPECT_EQ(args("ngx.decode_args('a=1&b=2', 2)"), "a=1|b=2");
  EXPECT_EQ(run("local t, e = ngx.decode_args(('a=1&'):rep(150)) return #t.a, e"),
            "100, truncated");
  EXPECT_EQ(run("local t, e = ngx.decode_args(('a=1&'):rep(150), 0) return #t.a, e"), "150, nil");
  EXPECT_EQ(run("local t, e = ngx.decode_args(('a=1&'):rep(150), -1) return #t.a, e"), "150, nil");
}

TEST_F(codec, counts_arguments_without_a_key_only_where_ngx_does) {
  EXPECT_EQ(args("ngx.decode_args('=x&a=1&b=2', 2)"), "a=1 truncated");
  // As ngx.req.get_uri_args asks.
  EXPECT_EQ(args("ngx.parse_args('=x&a=1&b=2', 10, 2, false)"), "a=1|b=2 truncated");
}

TEST_F(codec, returns_one_value_if_all_arguments_are_there) {
  EXPECT_EQ(run("return select('#', ngx.decode_args('a=1'))"), "1");
}

TEST_F(codec, refuses_a_wrong_call_of_decode_args) {
  EXPECT_EQ(run("local t = ngx.decode_args() return t"),
            "raised: test:1: expecting 1 or 2 arguments but seen 0");
  EXPECT_EQ(run("local t = ngx.decode_args({}) return t"),
            "raised: test:1: bad argument #1 to 'decode_args' (string expected, got table)");
}

TEST_F(codec, writes_arguments) {
  EXPECT_EQ(run("return ngx.encode_args{}"), "");
  EXPECT_EQ(run("return ngx.encode_args{['b r'] = 'hello world'}"), "b%20r=hello%20world");
  EXPECT_EQ(run("return ngx.encode_args{a = {1, 'x y', true, false}}"), "a=1&a=x%20y&a");
  EXPECT_EQ(run("return ngx.encode_args{a = {}}"), "");
  EXPECT_EQ(run("return ngx.encode_args{a = true, b = false}"), "a");
  EXPECT_EQ(run("return ngx.encode_args{a = ''}"), "a=");
  EXPECT_EQ(run("return ngx.encode_args{a = 1.5}"), "a=1.5");
}

TEST_F(codec, writes_arguments_of_any_size) {
  EXPECT_EQ(run("local s = ngx.encode_args{a = ('x'):rep(1e5)} return #s, s:sub(1, 4)"),
            "100002, a=xx");
  EXPECT_EQ(run("local t = {} for i = 1, 20000 do t[i] = '&' end local s = ngx.encode_args{k = t} "
                "return #s, s:sub(1, 11), s:sub(-6)"),
            "119999, k=%26&k=%26, &k=%26");
  EXPECT_EQ(run("return ngx.encode_args{a = 1}"), "a=1");
}

TEST_F(codec, refuses_what_is_no_argument) {
  EXPECT_EQ(run("local s = ngx.encode_args(true) return s"),
            "raised: test:1: bad argument #1 to 'encode_args' (table expected, got boolean)");
  EXPECT_EQ(run("return select(2, pcall(ngx.encode_args, true))"),
            "bad argument #1 to '?' (table expected, got boolean)");
  EXPECT_EQ(run("local s = ngx.encode_args{'x'} return s"),
            "raised: test:1: attempt to use a non-string key in the \"args\" option table");
  EXPECT_EQ(run("local s = ngx.encode_args{a = print} return s"),
            "raised: test:1: attempt to use function as query arg value");
  EXPECT_EQ(run("local s = ngx.encode_args{a = {{}}} return s"),
            "raised: test:1: attempt to use table as query arg value");
}

TEST_F(codec, names_no_place_in_errors_to_a_protected_call) {
  EXPECT_EQ(run("return select(2, pcall(ngx.encode_args, true))"),
            "bad argument #1 to '?' (table expected, got boolean)");
  EXPECT_EQ(run("return select(2, pcall(ngx.encode_args, {a = ngx.null}))"),
            "attempt to use userdata as query arg value");
  EXPECT_EQ(run("return select(2, pcall(ngx.encode_args, {a = {ngx.null}}))"),
            "attempt to use userdata as query arg value");
  EXPECT_EQ(run("return select(2, pcall(ngx.decode_base64, 3))"), "string argument only");
}

TEST_F(codec, leaves_the_parsed_text_alone) {
  EXPECT_EQ(run("local s = 'f+f=bar&B=%20' ngx.decode_args(s) return s, 'f+f=bar&B=%20' == s"),
            "f+f=bar&B=%20, true");
}

TEST_F(codec, encodes_base64) {
  EXPECT_EQ(run("return ngx.encode_base64('hello')"), "aGVsbG8=");
  EXPECT_EQ(run("return ngx.encode_base64('hello', true)"), "aGVsbG8");
  EXPECT_EQ(run("return ngx.encode_base64('hell', true), ngx.encode_base64('hell')"),
            "aGVsbA, aGVsbA==");
  EXPECT_EQ(run("return ngx.encode_base64(nil), ngx.encode_base64(''), ngx.encode_base64(5)"),
            ", , NQ==");
  EXPECT_EQ(run("local s = ngx.encode_base64('a', 1) return s"),
            "raised: test:1: bad no_padding: boolean expected, got number");
}

TEST_F(codec, decodes_base64) {
  EXPECT_EQ(run("return ngx.decode_base64('aGVsbG8='), ngx.decode_base64('aGVsbG8')"),
            "hello, hello");
  EXPECT_EQ(run("return ngx.decode_base64('')"), "");
  EXPECT_EQ(run("return ngx.decode_base64('a'), ngx.decode_base64('^*~')"), "nil, nil");
  EXPECT_EQ(run("return ngx.decode_base64('aGVs\\nbG8=')"), "nil");
  EXPECT_EQ(run("return ngx.decode_base64mime('aGVs\\nbG8='), ngx.decode_base64mime('^*~')"),
            "hello, ");
  EXPECT_EQ(run("local s = ngx.decode_base64() return s"), "raised: test:1: string argument only");
  EXPECT_EQ(run("local s = ngx.decode_base64mime(1) return s"),
            "raised: test:1: string argument only");
  EXPECT_EQ(run(R"(
    for size = 0, 70 do
      local bytes = {}
      for i = 1, size do bytes[i] = string.char((i * 37 + size) % 256) end
      local text = table.concat(bytes)
      for _, bare in ipairs{true, false} do
        if ngx.decode_base64(ngx.encode_base64(text, bare)) ~= text then return size end
      end
    end
    return "same")"),
            "same");
}

TEST_F(codec, has_base64_for_urls_in_a_module) {
  EXPECT_EQ(run("return require('ngx.base64').encode_base64url('\\251\\255\\254a')"), "-__-YQ");
  EXPECT_EQ(run("return require('ngx.base64').decode_base64url('-__-YQ') == '\\251\\255\\254a'"),
            "true");
  EXPECT_EQ(run("return require('ngx.base64').encode_base64url(1)"), "nil, must provide a string");
  EXPECT_EQ(run("return require('ngx.base64').decode_base64url()"), "nil, must provide a string");
  EXPECT_EQ(run("return require('ngx.base64').decode_base64url('+/')"), "nil, invalid input");
  EXPECT_EQ(run("return require('ngx.base64').decode_base64url('')"), "");
}

TEST_F(codec, quotes_sql_strings) {
  EXPECT_EQ(run("return ngx.quote_sql_str('a\\0\\n\\r\\b\\t\\26\\\\\\'\"$')"),
            R"('a\0\n\r\b\t\Z\\\'\"$')");
  EXPECT_EQ(run("return ngx.quote_sql_str('')"), "''");
  EXPECT_EQ(run("return ngx.quote_sql_str(12)"), "'12'");
  EXPECT_EQ(run("local s = ngx.quote_sql_str() return s"),
            "raised: test:1: expecting one argument");
}

TEST_F(codec, is_compiled_when_hot) {
  EXPECT_GT(lua_.traces("for i = 1, 300 do local s = ngx.escape_uri('a b') end"), 0);
  EXPECT_GT(lua_.traces("for i = 1, 300 do local s = ngx.unescape_uri('a%20b') end"), 0);
  EXPECT_GT(lua_.traces("for i = 1, 300 do local s = ngx.encode_base64('hello') end"), 0);
  EXPECT_GT(lua_.traces("for i = 1, 300 do local s = ngx.decode_base64('aGVsbG8=') end"), 0);
  EXPECT_GT(lua_.traces("for i = 1, 300 do local s = ngx.quote_sql_str('hello') end"), 0);
  EXPECT_GT(lua_.traces("for i = 1, 300 do local s = ngx.decode_args('a=1') end"), 0);
}

}  // namespace
}  // namespace troupe::lua
