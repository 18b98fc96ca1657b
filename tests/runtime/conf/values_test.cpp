// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/values.hpp"

#include <gtest/gtest.h>

namespace troupe::conf {

using namespace std::chrono_literals;

TEST(conf_values, reads_sizes) {
  EXPECT_EQ(size_in("0"), 0);
  EXPECT_EQ(size_in("512"), 512);
  EXPECT_EQ(size_in("8k"), 8192);
  EXPECT_EQ(size_in("1M"), 1 << 20);
  EXPECT_EQ(size_in("2g"), std::int64_t{2} << 30);
  for (const auto* bad :
       {"", "k", "-1", "1.5m", "1kk", "1 k", "9223372036854775807k", "99999999999999999999"})
    EXPECT_FALSE(size_in(bad).has_value()) << bad;
}

TEST(conf_values, reads_times) {
  EXPECT_EQ(time_in("60"), 60s);
  EXPECT_EQ(time_in("500ms"), 500ms);
  EXPECT_EQ(time_in("1h 30m"), 90min);
  EXPECT_EQ(time_in("1w2d3h4m5s6ms"), 24h * 9 + 3h + 4min + 5s + 6ms);
  EXPECT_EQ(time_in("1m 30"), 90s);
  EXPECT_EQ(time_in("68000ms"), 68s);
  for (const auto* bad :
       {"", "s", "abc", "1s1m", "1m1m", "1ms1s", "1y", "1M", "-1", "1x", "9223372036854775807"})
    EXPECT_FALSE(time_in(bad).has_value()) << bad;
}

TEST(conf_values, reads_times_of_whole_seconds) {
  EXPECT_EQ(seconds_in("1y"), 24h * 365);
  EXPECT_EQ(seconds_in("1M1d"), 24h * 31);
  EXPECT_EQ(seconds_in("90"), 90s);
  EXPECT_FALSE(seconds_in("500ms").has_value());
}

TEST(conf_values, complains_in_nginx_words) {
  EXPECT_EQ(parse_size("client_max_body_size", "abc").error(),
            "\"client_max_body_size\" directive invalid value");
  EXPECT_EQ(parse_time("keepalive_timeout", "abc").error(),
            "\"keepalive_timeout\" directive invalid value");
  EXPECT_EQ(parse_seconds("expires", "1ms").error(), "\"expires\" directive invalid value");
  EXPECT_EQ(parse_number("keepalive_requests", "abc").error(),
            "\"keepalive_requests\" directive invalid number");
  EXPECT_EQ(parse_flag("tcp_nodelay", "maybe").error(),
            "invalid value \"maybe\" in \"tcp_nodelay\" directive, it must be \"on\" or \"off\"");
}

TEST(conf_values, takes_flags_and_choices_in_any_case) {
  EXPECT_TRUE(parse_flag("x", "On").value());
  EXPECT_FALSE(parse_flag("x", "OFF").value());
  const std::pair<std::string_view, int> choices[] = {{"all", 1}, {"any", 2}};
  EXPECT_EQ(parse_choice<int>("Any", choices).value(), 2);
  EXPECT_EQ(parse_choice<int>("foo", choices).error(), "invalid value \"foo\"");
}

}  // namespace troupe::conf
