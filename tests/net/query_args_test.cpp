// SPDX-License-Identifier: Apache-2.0
#include "net/query_args.hpp"

#include <gtest/gtest.h>

#include <string>

namespace troupe::net {
namespace {

std::string pairs(std::string_view text) {
  std::string out;
  query_arg arg;
  while (take_query_arg(text, arg)) {
    out += '<';
    out += arg.key;
    if (arg.has_value) {
      out += '=';
      out += arg.value;
    }
    out += '>';
  }
  return out;
}

TEST(query_args, come_pair_by_pair) {
  EXPECT_EQ(pairs("a=1&b=2"), "<a=1><b=2>");
  EXPECT_EQ(pairs("a&b="), "<a><b=>");
  EXPECT_EQ(pairs("a=b=c"), "<a=b=c>");
  EXPECT_EQ(pairs(""), "");
}

TEST(query_args, keep_empty_pieces_but_for_the_last) {
  EXPECT_EQ(pairs("&&=x&a&"), "<><><=x><a>");
}

TEST(query_args, are_counted_by_what_parts_them) {
  EXPECT_EQ(count_query_args(""), 0u);
  EXPECT_EQ(count_query_args("a"), 1u);
  EXPECT_EQ(count_query_args("a=1&b&"), 3u);
}

}  // namespace
}  // namespace troupe::net
