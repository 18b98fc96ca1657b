// SPDX-License-Identifier: Apache-2.0
#include "net/http_date.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace troupe::net {
namespace {

TEST(http_date, is_written_as_rfc_1123_has_it) {
  EXPECT_EQ(format_http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(format_http_date(1290079655), "Thu, 18 Nov 2010 11:27:35 GMT");
  EXPECT_EQ(format_http_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(format_http_date(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(http_date, times_without_a_year_of_four_digits_are_the_nearest_that_have) {
  EXPECT_EQ(format_http_date(-1), format_http_date(0));
  EXPECT_EQ(format_http_date(253402300800), format_http_date(253402300799));
  EXPECT_EQ(format_http_date(std::numeric_limits<std::int64_t>::min()), format_http_date(0));
  EXPECT_EQ(format_http_date(std::numeric_limits<std::int64_t>::max()).size(), 29U);
  EXPECT_EQ(format_cookie_date(std::numeric_limits<std::int64_t>::max()),
            "Fri, 31-Dec-9999 23:59:59 GMT");
}

TEST(cookie_date, has_a_year_of_two_digits_up_to_2037) {
  EXPECT_EQ(format_cookie_date(1290079655), "Thu, 18-Nov-10 11:27:35 GMT");
  EXPECT_EQ(format_cookie_date(946684800), "Sat, 01-Jan-00 00:00:00 GMT");
  EXPECT_EQ(format_cookie_date(2145916799), "Thu, 31-Dec-37 23:59:59 GMT");
  EXPECT_EQ(format_cookie_date(2145916800), "Fri, 01-Jan-2038 00:00:00 GMT");
}

TEST(http_date, all_three_forms_are_read) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov 16 08:49:37 1994"), 784975777);
  EXPECT_EQ(parse_http_date("  Sun, 06 Nov 1994 08:49:37 GMT  "), 784111777);
}

TEST(http_date, two_digits_are_a_year_from_1970_to_2069) {
  EXPECT_EQ(parse_http_date("Thursday, 01-Jan-70 00:00:00 GMT"), 0);
  EXPECT_EQ(parse_http_date("Tuesday, 31-Dec-69 00:00:00 GMT"), 3155673600);
}

TEST(http_date, what_is_written_is_read_again) {
  for (std::int64_t at = 0; at < 253402300799; at += 86399 * 3671LL) {
    EXPECT_EQ(parse_http_date(format_http_date(at)), at);
  }
}

TEST(http_date, leap_days_are_known) {
  EXPECT_TRUE(parse_http_date("Tue, 29 Feb 2000 00:00:00 GMT"));
  EXPECT_TRUE(parse_http_date("Thu, 29 Feb 2024 00:00:00 GMT"));
  EXPECT_FALSE(parse_http_date("Thu, 29 Feb 2023 00:00:00 GMT"));
  EXPECT_FALSE(parse_http_date("Mon, 29 Feb 2100 00:00:00 GMT"));
}

TEST(http_date, the_rest_is_no_date) {
  for (const char* text : {"",
                           " ",
                           ",",
                           "Sun",
                           "Sun,",
                           "Sun, ",
                           "Sun, 06",
                           "Sun, 06 Nov",
                           "Sun, 06 Nov 1994",
                           "Sun, 06 Nov 1994 08:49",
                           "Sun, 06 Nov 1994 08:49:",
                           "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:60:00 GMT",
                           "Sun, 06 Nov 1994 08:49:60 GMT",
                           "Sun, 6 Nov 1994 08:49:37 GMT",
                           "Sun, 32 Dec 1994 08:49:37 GMT",
                           "Sun, 31 Nov 1994 08:49:37 GMT",
                           "Sun, 00 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Nox 1994 08:49:37 GMT",
                           "Sun, 06 nov 1994 08:49:37 GMT",
                           "Sun, 06 Nov 94 08:49:37 GMT",
                           "Sun, 06-Nov 94 08:49:37 GMT",
                           "Sun, -6 Nov 1994 08:49:37 GMT",
                           "Sunday, 06-Nov-1994 08:49:37 GMT",
                           "Sun Nov 6",
                           "Sun Nov  6 08:49:37",
                           "Sun Nov",
                           "Sun Nov  6 08:49:37 94",
                           "SunNov  6 08:49:37 1994",
                           "784111777",
                           "Sun, 06 Nov 1994 8:49:37 GMT",
                           "1994-11-06T08:49:37Z"}) {
    EXPECT_FALSE(parse_http_date(text)) << text;
  }
}

TEST(http_date, cut_anywhere_it_is_no_date) {
  for (const std::string_view text :
       {"Sun, 06 Nov 1994 08:49:37", "Sunday, 06-Nov-94 08:49:37", "Sun Nov  6 08:49:37 1994"}) {
    ASSERT_TRUE(parse_http_date(text));
    for (std::size_t size = 0; size < text.size(); ++size) {
      EXPECT_FALSE(parse_http_date(text.substr(0, size))) << text.substr(0, size);
    }
  }
}

}  // namespace
}  // namespace troupe::net
