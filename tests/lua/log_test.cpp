// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lua/current.hpp"
#include "net/log.hpp"
#include "tests/lua/api_state.hpp"

namespace troupe::lua {
namespace {

class lines final : public net::log_context {
 public:
  [[nodiscard]] bool enabled(net::log_level level) const noexcept override {
    return level <= net::log_level::notice;
  }
  void write(net::log_level level, std::string_view line) const noexcept override {
    text += "[" + std::string(net::name(level)) + "] " + std::string(line) + "\n";
  }
  mutable std::string text;
};

class log : public testing::Test {
 protected:
  log() : before_(current) { current.log = &lines_; }
  ~log() override { current = before_; }
  // What the code logs, or what it raises.
  std::string run(const std::string& code) {
    lines_.text.clear();
    const std::string result = lua_.run(code);
    return lines_.text + result;
  }

  api_state lua_{&core_area, &value_text_area, &log_area};
  lines lines_;
  run_context before_;
};

TEST_F(log, says_where_it_was_called) {
  EXPECT_EQ(run("\nngx.log(4, 'x', 1)"), "[error] [lua] test:2: x1\n");
  EXPECT_EQ(run("local function shout() ngx.log(5, 'x') end\nshout()"),
            "[warn] [lua] test:1: shout(): x\n");
  EXPECT_EQ(run("print('x', nil)"), "[notice] [lua] test:1: xnil\n");
  EXPECT_EQ(run("ngx.log(0, 'x')"), "[] [lua] test:1: x\n");
}

TEST_F(log, shows_values_as_text) {
  EXPECT_EQ(run("ngx.log(4, nil, true, 1e14, -0, 0.5, ngx.null, 'a')"),
            "[error] [lua] test:1: niltrue1e+1400.5nulla\n");
  EXPECT_EQ(run("ngx.log(4, setmetatable({}, { __tostring = function() return 'meta' end }))"),
            "[error] [lua] test:1: meta\n");
}

TEST_F(log, refuses_other_values_and_counts_them_behind_the_level) {
  EXPECT_EQ(
      run("ngx.log(4, {})"),
      "raised: test:1: bad argument #1 to 'log' (expected table to have __tostring metamethod)");
  EXPECT_EQ(
      run("ngx.log(4, 'x', print)"),
      "raised: test:1: bad argument #2 to 'log' (string, number, boolean, or nil expected, got "
      "function)");
  EXPECT_EQ(run("print({})"),
            "raised: test:1: bad argument #1 to 'print' (expected table to have __tostring "
            "metamethod)");
}

TEST_F(log, refuses_levels_that_do_not_exist) {
  EXPECT_EQ(run("ngx.log(9, 'x')"), "raised: test:1: bad argument #1 to 'log' (bad log level: 9)");
  EXPECT_EQ(run("ngx.log('x')"),
            "raised: test:1: bad argument #1 to 'log' (number expected, got string)");
}

TEST_F(log, does_not_look_at_what_nobody_reads) {
  EXPECT_EQ(run("ngx.log(8, {})"), "");
}

}  // namespace
}  // namespace troupe::lua
