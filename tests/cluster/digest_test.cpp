// SPDX-License-Identifier: Apache-2.0
#include "cluster/digest.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

// FIPS 180-4's own example.
constexpr const char* abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(digest, is_the_sha256_of_the_content) {
  EXPECT_EQ(digest::of("abc").hex(), abc);
  EXPECT_EQ(digest::of("abc").text(), std::string("sha256:") + abc);
}

TEST(digest, is_read_with_and_without_its_scheme) {
  EXPECT_EQ(digest::parse(digest::of("x").text()), digest::of("x"));
  EXPECT_EQ(digest::parse(digest::of("x").hex()), digest::of("x"));
  EXPECT_EQ(digest::from_bytes(digest::of("x").raw()), digest::of("x"));
}

TEST(digest, other_texts_are_none) {
  const std::string hex = abc;
  EXPECT_FALSE(digest::parse(""));
  EXPECT_FALSE(digest::parse("sha256:"));
  EXPECT_FALSE(digest::parse(hex.substr(1)));
  EXPECT_FALSE(digest::parse(hex + "0"));
  EXPECT_FALSE(digest::parse("sha512:" + hex));
  EXPECT_FALSE(digest::parse("B" + hex.substr(1)));
  EXPECT_FALSE(digest::parse("g" + hex.substr(1)));
  EXPECT_FALSE(digest::from_bytes("short"));
}

}  // namespace
}  // namespace troupe::cluster
