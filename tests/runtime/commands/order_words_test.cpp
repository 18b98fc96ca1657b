// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/order_sender.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(order_words, what_is_wrong_is_known_before_a_node_is_asked) {
  const auto reason_of = [](const order_words& wanted) {
    const auto policy = wanted.policy();
    return policy ? std::string() : policy.error().reason;
  };
  EXPECT_EQ(reason_of({.canary = "20%", .stop_if = "errors>1%"}), "");
  EXPECT_NE(reason_of({.canary = "20%", .stop_if = "error>1%"}).find("--stop-if"), std::string::npos);
  EXPECT_NE(reason_of({.canary = "x"}).find("--canary"), std::string::npos);
  EXPECT_NE(reason_of({.watch = "1s"}).find("--watch"), std::string::npos);
}

TEST(order_words, a_label_without_a_value_names_nobody) {
  EXPECT_TRUE(order_words{.to = "zone=eu"}.selector());
  EXPECT_TRUE(order_words{}.selector());
  EXPECT_FALSE(order_words{.to = "zone="}.selector());
  EXPECT_FALSE(order_words{.to = "tier=web,zone="}.selector());
  EXPECT_FALSE(order_words{.to = "200%"}.selector());
}

TEST(order_words, an_app_has_a_name) {
  EXPECT_FALSE(wrong_app(""));
  EXPECT_FALSE(wrong_app("shop-2.x"));
  EXPECT_TRUE(wrong_app("bad name!"));
  EXPECT_TRUE(wrong_app(std::string(65, 'a')));
}

}  // namespace
}  // namespace troupe
