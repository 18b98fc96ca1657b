// SPDX-License-Identifier: Apache-2.0
#include "lua/api/value_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/lua/api_state.hpp"

namespace troupe::lua {
namespace {

std::string text(double number) {
  char bytes[longest_number];
  return {bytes, write_number(bytes, number)};
}

TEST(value_text, shows_whole_numbers_without_a_point) {
  EXPECT_EQ(text(0), "0");
  EXPECT_EQ(text(-0.0), "0");
  EXPECT_EQ(text(2147483647), "2147483647");
  EXPECT_EQ(text(-2147483648.0), "-2147483648");
  EXPECT_EQ(text(99999999999999), "99999999999999");
}

TEST(value_text, shows_fourteen_digits_rounded_to_even) {
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(1.0 / 3), "0.33333333333333");
  EXPECT_EQ(text(1e-5), "1e-05");
  EXPECT_EQ(text(1e14), "1e+14");
  EXPECT_EQ(text(123456789012345), "1.2345678901234e+14");
  EXPECT_EQ(text(9007199254740992), "9.007199254741e+15");
  EXPECT_EQ(text(-std::numeric_limits<double>::max()), "-1.7976931348623e+308");
  EXPECT_EQ(text(-std::numeric_limits<double>::denorm_min()), "-4.9406564584125e-324");
}

TEST(value_text, shows_what_is_no_number_as_c_does) {
  EXPECT_EQ(text(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(text(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(text(std::copysign(std::numeric_limits<double>::quiet_NaN(), 1)), "nan");
  EXPECT_EQ(text(std::copysign(std::numeric_limits<double>::quiet_NaN(), -1)), "-nan");
}

constexpr api_area open_check{.name = "open_check",
                              .cdef = {},
                              .table = nullptr,
                              .source = "local _, ngx, _, check = ... ngx.check = check",
                              .functions = nullptr};

class values : public testing::Test {
 protected:
  // As ngx.say would: a function of the API that checks its argument.
  std::string say(const std::string& expression) {
    return lua_.run(
        "local function say(v) ngx.check.printable(v, 1, 1) return ngx.check.text_of(v) "
        "end local text = say(" +
        expression + ") return text");
  }
  api_state lua_{&core_area, &value_text_area, &open_check};
};

TEST_F(values, become_text) {
  EXPECT_EQ(say("'a\\0b'"), std::string("a\0b", 3));
  EXPECT_EQ(say("12.50"), "12.5");
  EXPECT_EQ(say("nil"), "nil");
  EXPECT_EQ(say("false"), "false");
  EXPECT_EQ(say("ngx.null"), "null");
}

TEST_F(values, of_other_types_are_refused) {
  const std::string refused =
      "raised: test:1: bad argument #1 to 'say' (string, number, boolean, nil, ngx.null, or array "
      "table expected, but got ";
  EXPECT_EQ(say("print"), refused + "function)");
  EXPECT_EQ(say("io.stdout"), refused + "userdata)");
  EXPECT_EQ(say("require('ffi').new('void*')"), refused + "cdata)");
  EXPECT_EQ(say("coroutine.create(function() end)"), refused + "thread)");
}

TEST_F(values, in_tables_may_have_holes_but_only_positions_as_keys) {
  EXPECT_EQ(lua_.run("return ngx.check.array_size({1, nil, 3}), ngx.check.array_size({})"), "3, 0");
  EXPECT_EQ(lua_.run("ngx.check.printable({1, {nil, {true, ngx.null}}}, 1, 1) return 'said'"),
            "said");
  EXPECT_EQ(say("{ a = 1 }"), "raised: test:1: bad argument #1 to 'say' (non-array table found)");
  EXPECT_EQ(say("{ [0] = 1 }"), "raised: test:1: bad argument #1 to 'say' (non-array table found)");
  EXPECT_EQ(say("{ [1.5] = 1 }"),
            "raised: test:1: bad argument #1 to 'say' (non-array table found)");
  EXPECT_EQ(say("{ [1e300] = 1 }"),
            "raised: test:1: bad argument #1 to 'say' (non-array table found)");
  EXPECT_EQ(say("{{{ print }}}"),
            "raised: test:1: bad argument #1 to 'say' (bad data type function found)");
}

TEST_F(values, are_refused_under_the_name_that_the_caller_used) {
  EXPECT_EQ(lua_.run("local function say(v) ngx.check.printable(v, 2, 1) end\n"
                     "local shout = say\n"
                     "shout(print)")
                .substr(0, 45),
            "raised: test:3: bad argument #2 to 'shout' (s");
  EXPECT_EQ(lua_.run("local function say(v) ngx.check.printable(v, 1, 1) end\n"
                     "return select(2, pcall(say, {a = 1}))"),
            "bad argument #1 to '?' (non-array table found)");
}

TEST_F(values, become_text_in_compiled_loops) {
  EXPECT_GE(lua_.traces("local s for i = 1, 300 do s = ngx.check.text_of(i) end"), 1);
  EXPECT_GE(lua_.traces("local t = {1, 'a'} for i = 1, 300 do ngx.check.printable(t, 1, 1) end"),
            1);
}

}  // namespace
}  // namespace troupe::lua
