// SPDX-License-Identifier: Apache-2.0
#include "net/http_date.hpp"

#include <gtest/gtest.h>

namespace troupe::net {
namespace {

TEST(http_date, is_read_as_it_was_written) {
  for (std::int64_t at = -62135596800; at < 253402300799; at += 86400 * 97 + 3661) {
    ASSERT_EQ(parse_http_date(format_http_date(at)), at);
  }
  EXPECT_EQ(format_http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(format_http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(format_http_date(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(http_date, has_three_forms) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), 784111777);
}

TEST(http_date, of_a_cookie_has_short_years_until_2037) {
  EXPECT_EQ(format_cookie_date(2145916799), "Thu, 31-Dec-37 23:59:59 GMT");
  EXPECT_EQ(format_cookie_date(2145916800), "Fri, 01-Jan-2038 00:00:00 GMT");
}

TEST(http_date, must_be_one_of_the_calendar) {
  EXPECT_TRUE(parse_http_date("Fri, 29 Feb 2008 00:00:00 GMT"));
  for (const char* text : {"", "Thu", "Thu, ", "Thu, 18 No", "Thu Nov",
                           "Sun, 29 Feb 2009 00:00:00 GMT", "Thu, 00 Nov 2010 11:27:35 GMT",
                           "Thu, 18 Nov 2010 24:00:00 GMT", "Thu, 18 Nov 2010 23:60:00 GMT",
                           "Thu, 18 nov 2010 11:27:35 GMT", "Thu, 18 Nov 10 11:27:35 GMT"}) {
    EXPECT_FALSE(parse_http_date(text)) << text;
  }
}

}  // namespace
}  // namespace troupe::net
