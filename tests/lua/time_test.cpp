// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lua/current.hpp"
#include "net/cached_clock.hpp"
#include "tests/lua/api_state.hpp"

namespace troupe::lua {
namespace {

class time_of_scripts : public testing::Test {
 protected:
  void SetUp() override { current.clock = &clock_; }
  void TearDown() override { current.clock = nullptr; }
  std::string run(const std::string& code) { return lua_.run(code); }
  net::cached_clock clock_;
  api_state lua_{&core_area, &time_area};
};

TEST_F(time_of_scripts, is_that_of_the_clock_of_the_shard) {
  const std::int64_t ms = clock_.wall_ms();
  EXPECT_EQ(run("return ngx.time()"), std::to_string(ms / 1000));
  EXPECT_EQ(run("return ('%d'):format(ngx.now() * 1000 + 0.5)"), std::to_string(ms));
}

TEST_F(time_of_scripts, goes_on_when_asked_to) {
  EXPECT_EQ(run("local t = ngx.now() for i = 1, 1e5 do end return ngx.now() == t"), "true");
  EXPECT_EQ(run("local t = ngx.now() repeat ngx.update_time() until ngx.now() > t return 'later'"),
            "later");
}

TEST_F(time_of_scripts, is_asked_of_the_system_where_no_shard_is) {
  current.clock = nullptr;
  EXPECT_EQ(run("return ngx.time() >= " + std::to_string(clock_.wall_ms() / 1000)), "true");
  EXPECT_EQ(run("ngx.update_time()"), "");
}

TEST_F(time_of_scripts, is_written_as_a_date) {
  EXPECT_EQ(run("return (ngx.today():gsub('%d', 'n'))"), "nnnn-nn-nn");
  EXPECT_EQ(run("return (ngx.localtime():gsub('%d', 'n'))"), "nnnn-nn-nn nn:nn:nn");
  EXPECT_EQ(run("return ngx.utctime() == os.date('!%Y-%m-%d %H:%M:%S', ngx.time())"), "true");
  EXPECT_EQ(run("return ngx.localtime() == os.date('%Y-%m-%d %H:%M:%S', ngx.time())"), "true");
  EXPECT_EQ(run("return ngx.today() == ngx.localtime():sub(1, 10)"), "true");
}

TEST_F(time_of_scripts, is_written_as_http_does) {
  EXPECT_EQ(run("return ngx.http_time(1290079655)"), "Thu, 18 Nov 2010 11:27:35 GMT");
  EXPECT_EQ(run("return ngx.cookie_time(1290079655)"), "Thu, 18-Nov-10 11:27:35 GMT");
  EXPECT_EQ(run("return ngx.cookie_time(2169277261)"), "Tue, 28-Sep-2038 09:01:01 GMT");
  EXPECT_EQ(run("return ngx.http_time(-1), ngx.cookie_time(0/0)"),
            "Thu, 01 Jan 1970 00:00:00 GMT, Thu, 01-Jan-70 00:00:00 GMT");
  EXPECT_EQ(run("return ngx.http_time(1e300)"), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(run("local s = ngx.http_time('1') return s"), "raised: test:1: number argument only");
  EXPECT_EQ(run("local s = ngx.cookie_time(nil) return s"), "raised: test:1: number argument only");
}

TEST_F(time_of_scripts, is_read_from_http_dates) {
  EXPECT_EQ(run("return ngx.parse_http_time('Thu, 18 Nov 2010 11:27:35 GMT')"), "1290079655");
  EXPECT_EQ(run("return ngx.parse_http_time('Thursday, 18-Nov-10 11:27:35 GMT')"), "1290079655");
  EXPECT_EQ(run("return ngx.parse_http_time('Thu Nov 18 11:27:35 2010')"), "1290079655");
  EXPECT_EQ(run("return ngx.parse_http_time('Thu, 18 Nov 2010 11:27:35')"), "1290079655");
  EXPECT_EQ(run("return ngx.parse_http_time('abc'), ngx.parse_http_time('')"), "nil, nil");
  EXPECT_EQ(run("local s = ngx.parse_http_time(1) return s"),
            "raised: test:1: string argument only");
}

TEST_F(time_of_scripts, has_a_clock_that_never_goes_back) {
  const std::string now = std::to_string(clock_.monotonic_ms());
  EXPECT_EQ(run("return ('%d'):format(require('resty.core.time').monotonic_msec())"), now);
  EXPECT_EQ(run("local t = require('resty.core.time') "
                "return t.monotonic_time() == t.monotonic_msec() / 1000"),
            "true");
}

TEST_F(time_of_scripts, is_compiled_when_hot) {
  for (const char* call :
       {"ngx.now()", "ngx.time()", "ngx.today()", "ngx.utctime()", "ngx.http_time(1)",
        "ngx.cookie_time(1)", "ngx.parse_http_time('Thu, 18 Nov 2010 11:27:35 GMT')"}) {
    EXPECT_GT(lua_.traces(std::string("for i = 1, 300 do local s = ") + call + " end"), 0) << call;
  }
}

}  // namespace
}  // namespace troupe::lua
