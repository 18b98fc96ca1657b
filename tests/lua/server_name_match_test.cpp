// SPDX-License-Identifier: Apache-2.0
#include "lua/server_name_match.hpp"

#include <gtest/gtest.h>

namespace troupe::lua {
namespace {

using added = server_name_match::added;

std::uint32_t find(const server_name_match& names, std::string_view host) {
  return names.find(host, [](std::uint32_t) { return false; }).server;
}

}  // namespace

TEST(server_name_match, gives_the_default_server_to_unknown_hosts) {
  server_name_match names(7);
  EXPECT_EQ(find(names, "a.com"), 7U);
  EXPECT_EQ(find(names, ""), 7U);
}

TEST(server_name_match, prefers_exact_then_front_then_back_wildcards) {
  server_name_match names(0);
  EXPECT_EQ(names.add("www.example.com", 1), added::ok);
  EXPECT_EQ(names.add("*.example.com", 2), added::ok);
  EXPECT_EQ(names.add("www.example.*", 3), added::ok);
  EXPECT_EQ(find(names, "www.example.com"), 1U);
  EXPECT_EQ(find(names, "w.example.com"), 2U);
  EXPECT_EQ(find(names, "a.b.example.com"), 2U);
  EXPECT_EQ(find(names, "example.com"), 0U);
  EXPECT_EQ(find(names, "www.example.org"), 3U);
  EXPECT_EQ(find(names, "www.example.co.uk"), 3U);
  EXPECT_EQ(find(names, "www.example"), 0U);
}

TEST(server_name_match, prefers_the_longest_wildcard) {
  server_name_match names(0);
  names.add("*.com", 1);
  names.add("*.example.com", 2);
  names.add(".b.example.com", 3);
  names.add("mail.*", 4);
  names.add("mail.example.*", 5);
  EXPECT_EQ(find(names, "a.com"), 1U);
  EXPECT_EQ(find(names, "a.example.com"), 2U);
  EXPECT_EQ(find(names, "b.example.com"), 3U);
  EXPECT_EQ(find(names, "a.b.example.com"), 3U);
  EXPECT_EQ(find(names, "mail.x"), 4U);
  EXPECT_EQ(find(names, "mail.example.x"), 5U);
}

TEST(server_name_match, a_leading_dot_stands_for_the_bare_name_too) {
  server_name_match names(0);
  EXPECT_EQ(names.add(".example.com", 1), added::ok);
  EXPECT_EQ(find(names, "example.com"), 1U);
  EXPECT_EQ(find(names, "www.example.com"), 1U);
  EXPECT_EQ(names.add("example.com", 2), added::conflicting);
  EXPECT_EQ(names.add("*.example.com", 2), added::conflicting);
}

TEST(server_name_match, does_not_mind_the_case_of_names) {
  server_name_match names(0);
  EXPECT_EQ(names.add("WWW.Example.com", 1), added::ok);
  EXPECT_EQ(find(names, "www.example.com"), 1U);
  EXPECT_EQ(names.add("www.example.COM", 2), added::conflicting);
  EXPECT_EQ(find(names, "www.example.com"), 1U);
}

TEST(server_name_match, may_have_a_server_without_a_name) {
  server_name_match names(0);
  EXPECT_EQ(names.add("", 1), added::ok);
  EXPECT_EQ(find(names, ""), 1U);
}

TEST(server_name_match, refuses_names_that_are_no_wildcards) {
  server_name_match names(0);
  for (const auto* bad : {"a.*.com", "a*", "*a", "*.a.*", "a..com", "..com"})
    EXPECT_EQ(names.add(bad, 1), added::invalid) << bad;
}

TEST(server_name_match, tries_regular_expressions_last_and_in_order) {
  server_name_match names(0);
  names.add_regex(10, 1);
  names.add_regex(11, 2);
  names.add("*.example.com", 3);
  std::vector<std::uint32_t> tried;
  const auto second = [&tried](std::uint32_t number) {
    tried.push_back(number);
    return number == 11;
  };
  EXPECT_EQ(names.find("www.example.com", second).server, 3U);
  EXPECT_TRUE(tried.empty());
  const auto found = names.find("www.example.org", second);
  EXPECT_EQ(found.server, 2U);
  EXPECT_TRUE(found.by_regex);
  EXPECT_EQ(tried, (std::vector<std::uint32_t>{10, 11}));
  EXPECT_EQ(names.find("", second).server, 0U);
}

}  // namespace troupe::lua
