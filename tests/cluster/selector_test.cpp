// SPDX-License-Identifier: Apache-2.0
#include "cluster/selector.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

selector of(std::string_view text) {
  const auto parsed = selector::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : selector();
}

TEST(selector, nothing_said_is_everyone) {
  EXPECT_TRUE(of("").is_everyone());
  EXPECT_TRUE(of("100%").is_everyone());
  EXPECT_TRUE(of("").matches("a", {}));
  EXPECT_EQ(of("").text(), "");
}

TEST(selector, all_its_labels_must_be_the_nodes) {
  const selector both = of("zone=eu,tier=web");
  EXPECT_TRUE(both.matches("a", {{"tier", "web"}, {"zone", "eu"}, {"rack", "7"}}));
  EXPECT_FALSE(both.matches("a", {{"tier", "web"}}));
  EXPECT_FALSE(both.matches("a", {{"tier", "web"}, {"zone", "us"}}));
  EXPECT_EQ(both.text(), "tier=web,zone=eu");
  EXPECT_EQ(of(both.text()), both);
}

TEST(selector, a_share_is_about_as_large_as_it_says_and_always_the_same_nodes) {
  selector fifth = of("20%");
  fifth.salt = "push 1";
  int matched = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string name = "node-" + std::to_string(i);
    const bool is_in = fifth.matches(name, {});
    EXPECT_EQ(fifth.matches(name, {}), is_in);
    matched += is_in ? 1 : 0;
  }
  EXPECT_GT(matched, 1'800);
  EXPECT_LT(matched, 2'200);
}

TEST(selector, a_larger_share_of_the_same_salt_has_all_of_the_smaller) {
  selector small = of("20%");
  selector large = of("50%");
  small.salt = large.salt = "push 1";
  selector other = of("20%");
  other.salt = "push 2";
  bool is_another_choice = false;
  for (int i = 0; i < 1'000; ++i) {
    const std::string name = "node-" + std::to_string(i);
    if (small.matches(name, {})) {
      EXPECT_TRUE(large.matches(name, {})) << name;
    }
    is_another_choice |= small.matches(name, {}) != other.matches(name, {});
  }
  EXPECT_TRUE(is_another_choice);
}

TEST(selector, covers_what_is_narrower) {
  EXPECT_TRUE(of("").covers(of("zone=eu,20%")));
  EXPECT_TRUE(of("zone=eu").covers(of("zone=eu,tier=web")));
  EXPECT_FALSE(of("zone=eu").covers(of("")));
  EXPECT_FALSE(of("zone=eu").covers(of("zone=us")));
  EXPECT_FALSE(of("20%").covers(of("")));
  EXPECT_TRUE(of("20%").covers(of("zone=eu,10%")));
  EXPECT_FALSE(of("20%").covers(of("30%")));
  selector other = of("10%");
  other.salt = "another";
  EXPECT_FALSE(of("20%").covers(other));
}

TEST(selector, what_is_none_is_refused_with_the_part_that_is_wrong) {
  for (const char* text : {"zone", "=eu", "zone=e u", "0%", "101%", "20.5%", "%", "-1%", "20%,30%",
                           "zone=eu,zone=us", "zone=eu,", ",zone=eu", "99999999999%"}) {
    EXPECT_FALSE(selector::parse(text)) << text;
  }
  EXPECT_EQ(selector::parse("zone=eu,7x%").error().reason, "\"7x%\" is no share: 1% to 100%");
  std::string many;
  for (int i = 0; i <= 64; ++i) many += (i > 0 ? ",l" : "l") + std::to_string(i) + "=x";
  EXPECT_FALSE(selector::parse(many));
}

}  // namespace
}  // namespace troupe::cluster
