// SPDX-License-Identifier: Apache-2.0
#include "cluster/bundle.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

const std::string conf = "server {}";
const std::string lua(100'000, 'x');

bundle sample() {
  bundle b;
  for (const auto& [path, content] : {std::pair("lua/a.lua", lua), std::pair("lua/same.lua", lua),
                                      std::pair("nginx.conf", conf)}) {
    b.files.files.push_back({.path = path, .size = content.size(), .content = digest::of(content)});
  }
  b.contents = {{digest::of(conf), conf}, {digest::of(lua), lua}};
  return b;
}

TEST(bundle, comes_back_as_it_went) {
  const std::string bytes = sample().encode();
  const auto back = bundle::decode(bytes);
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(back->files, sample().files);
  EXPECT_EQ(back->contents, sample().contents);
  EXPECT_TRUE(back->missing().empty());
  // A content of two files travels once, and is not copied.
  EXPECT_LT(bytes.size(), lua.size() + 1000);
  const auto* at = back->contents.at(digest::of(lua)).data();
  EXPECT_TRUE(at >= bytes.data() && at < bytes.data() + bytes.size());
}

TEST(bundle, says_which_contents_it_lacks) {
  bundle b = sample();
  b.contents.erase(digest::of(lua));
  const std::string bytes = b.encode();
  const auto back = bundle::decode(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->missing(), std::vector{digest::of(lua)});
}

TEST(bundle, contents_that_nobody_asked_for_are_not_sent) {
  bundle b = sample();
  const std::string other = "other";
  b.contents.emplace(digest::of(other), other);
  EXPECT_EQ(b.encode(), sample().encode());
}

TEST(bundle, a_content_that_was_changed_on_the_way_is_refused) {
  std::string bytes = sample().encode();
  bytes[bytes.find(conf)] = 'S';
  const auto back = bundle::decode(bytes);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::malformed);
  EXPECT_NE(back.error().reason.find("its manifest does not name"), std::string::npos);
}

TEST(bundle, sizes_that_lie_are_refused) {
  bundle b = sample();
  b.files.files[2].size += 1;
  EXPECT_FALSE(bundle::decode(b.encode()));
  b = sample();
  b.files.files[1].size += 1;
  EXPECT_FALSE(bundle::decode(b.encode()));
}

TEST(bundle, a_content_that_comes_twice_is_refused) {
  bundle b;
  b.files.files.push_back({.path = "a", .size = 1, .content = digest::of("a")});
  b.contents = {{digest::of("a"), "a"}};
  std::string bytes = b.encode();
  ASSERT_EQ(bytes.substr(bytes.size() - 4), std::string("\x91\xc4\x01\x61"));
  bytes.replace(bytes.size() - 4, 4, "\x92\xc4\x01\x61\xc4\x01\x61");
  const auto back = bundle::decode(bytes);
  ASSERT_FALSE(back);
  EXPECT_NE(back.error().reason.find("comes twice"), std::string::npos);
}

TEST(bundle, cut_at_any_byte_it_is_refused) {
  bundle b;
  b.files.files.push_back({.path = "a", .size = 3, .content = digest::of("abc")});
  b.contents = {{digest::of("abc"), "abc"}};
  const std::string bytes = b.encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(bundle::decode(std::string_view(bytes).substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace troupe::cluster
