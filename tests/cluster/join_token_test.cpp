// SPDX-License-Identifier: Apache-2.0
#include "cluster/join_token.hpp"

#include "cluster/base64url.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

using tests::temp_dir;

const wall_time now{std::chrono::milliseconds(1'767'323'045'678)};

join_token sample() {
  const temp_dir at;
  const auto keys = key_folder::make(at.path() / "keys", "ann");
  EXPECT_TRUE(keys);
  auto made = join_token::make(*keys,
                               {{"10.0.0.1:7000", curve_pair::make()->public_key},
                                {"a.example:7000", curve_pair::make()->public_key}},
                               true, now, std::chrono::hours(1));
  EXPECT_TRUE(made);
  return *std::move(made);
}

TEST(join_token, is_one_line_that_is_read_back) {
  const join_token token = sample();
  const std::string text = token.text();
  EXPECT_TRUE(text.starts_with("troupe1-"));
  EXPECT_EQ(text.find_first_of(" \t\n\"'\\$`"), std::string::npos);
  const auto back = join_token::parse("  " + text + "\r\n");
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(*back, token);
}

TEST(join_token, its_grant_is_for_its_own_pair_and_signed_by_the_operator) {
  const join_token token = sample();
  EXPECT_TRUE(token.grant.is_genuine());
  EXPECT_TRUE(token.trust.keys.contains(token.grant.signer));
  const auto grant = order::decode(token.grant.bytes);
  ASSERT_TRUE(grant);
  const auto& says = std::get<trust_order>(grant->body);
  EXPECT_EQ(says.does, trust_order::what::add_token);
  EXPECT_EQ(says.token, curve_pair::of_secret(token.secret)->public_key);
  EXPECT_EQ(says.token_ends, now + std::chrono::hours(1));
  EXPECT_TRUE(says.may_lead);
  // The cluster takes it.
  EXPECT_TRUE(cluster_state(token.trust.keys).judge(token.grant, now));
}

TEST(join_token, cut_or_mistyped_it_says_so) {
  const std::string text = sample().text();
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto cut = join_token::parse(std::string_view(text).substr(0, size));
    ASSERT_FALSE(cut) << size;
    if (size >= 9) {
      EXPECT_EQ(cut.error().reason, "the join token is cut or mistyped: copy the whole line");
    }
  }
  for (std::size_t at = 8; at < text.size(); ++at) {
    std::string other = text;
    other[at] = other[at] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(join_token::parse(other)) << at;
  }
}

TEST(join_token, what_is_none_says_what_one_looks_like) {
  EXPECT_EQ(join_token::parse(" \n").error().reason, "the join token is empty");
  EXPECT_EQ(join_token::parse("abc").error().reason,
            "no join token: one begins with \"troupe1-\" (`troupe keys token` prints it)");
  EXPECT_EQ(join_token::parse("troupe2-abc").error().errc, refusal_errc::unsupported);
  EXPECT_EQ(join_token::parse("troupe1-" + std::string(100'000, 'A')).error().reason,
            "no join token: it is too long");
}

// With the right check sum, but not what it should be.
std::string checked(std::string bytes) {
  bytes += digest::of(bytes).raw().substr(0, 4);
  return "troupe1-" + to_base64url(bytes);
}

TEST(join_token, one_without_a_key_to_trust_is_refused) {
  join_token token = sample();
  token.trust.keys.clear();
  EXPECT_EQ(join_token::parse(token.text()).error().reason, "no join token: its keys is wrong");
  token = sample();
  token.secret = "short";
  EXPECT_EQ(join_token::parse(token.text()).error().reason, "no join token: its secret is wrong");
  token = sample();
  token.nodes[0].curve = "short";
  EXPECT_EQ(join_token::parse(token.text()).error().reason, "no join token: its nodes is wrong");
}

TEST(join_token, bytes_that_are_no_token_are_refused) {
  EXPECT_FALSE(join_token::parse(checked("")));
  EXPECT_FALSE(join_token::parse(checked("\x96\x01")));
  EXPECT_FALSE(join_token::parse(checked("\xdd\xff\xff\xff\xff")));
  EXPECT_FALSE(join_token::parse(checked("garbage")));
  EXPECT_EQ(join_token::parse(checked("\x92\x02\x01")).error().errc, refusal_errc::unsupported);
}

}  // namespace
}  // namespace troupe::cluster
