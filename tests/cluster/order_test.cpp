// SPDX-License-Identifier: Apache-2.0
#include "cluster/change.hpp"

#include "cluster/wire.hpp"
#include "tests/cluster/samples.hpp"

#include <gtest/gtest.h>

#include <set>

namespace troupe::cluster {
namespace {

signing_key new_key() {
  return *signing_key::make();
}

TEST(order, there_is_a_sample_of_each_kind) {
  std::set<std::string_view> kinds;
  for (const order& one : sample_orders()) kinds.insert(kind_of(one));
  EXPECT_EQ(kinds.size(), std::variant_size_v<order_body>);
}

TEST(order, each_kind_comes_back_as_it_went) {
  for (const order& one : sample_orders()) {
    const auto back = order::decode(one.encode());
    ASSERT_TRUE(back) << back.error().reason;
    EXPECT_EQ(*back, one) << kind_of(one);
  }
}

TEST(order, what_is_not_said_comes_back_as_not_said) {
  for (order_body body : {order_body(release_order{}), order_body(rollback_order{}),
                          order_body(config_order{}), order_body(member_order{})}) {
    const order one{.body = body};
    EXPECT_EQ(order::decode(one.encode()), one) << kind_of(one);
  }
}

// A change of these bytes makes other orders of those that people have signed.
TEST(order, each_kind_has_the_bytes_of_its_golden_file) {
  for (const order& one : sample_orders()) {
    const std::string now = one.encode();
    const std::string then = golden("order." + std::string(kind_of(one)), now);
    EXPECT_EQ(now, then) << kind_of(one);
    EXPECT_EQ(order::decode(then), one) << kind_of(one);
  }
}

TEST(order, cut_at_any_byte_it_is_refused) {
  for (const order& one : sample_orders()) {
    const std::string bytes = one.encode();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto cut = order::decode(std::string_view(bytes).substr(0, size));
      ASSERT_FALSE(cut) << kind_of(one) << ' ' << size;
      ASSERT_EQ(cut.error().errc, refusal_errc::malformed);
    }
    EXPECT_FALSE(order::decode(bytes + '\0'));
  }
}

TEST(order, another_form_or_kind_is_refused_by_name) {
  std::string bytes = sample_orders()[0].encode();
  ASSERT_EQ(bytes[1], '\x01');
  bytes[1] = '\x02';
  auto back = order::decode(bytes);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::unsupported);
  EXPECT_EQ(back.error().reason, "an order of form 2; this troupe knows 1");
  bytes[1] = '\x01';
  bytes.replace(bytes.find("release"), 7, "relapse");
  back = order::decode(bytes);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::unsupported);
  EXPECT_EQ(back.error().reason, "an order \"relapse\", which this troupe does not know");
}

TEST(order, a_text_that_is_too_long_names_its_field) {
  order one = sample_orders()[0];
  one.author = std::string(order::max_author_bytes + 1, 'x');
  const auto back = order::decode(one.encode());
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().reason, "not an order: its author is wrong");
  EXPECT_EQ(order::decode(std::string(order::max_bytes + 1, '\x90')).error().errc,
            refusal_errc::too_large);
}

TEST(order, lists_that_claim_more_than_there_is_take_no_memory) {
  order one = sample_order(config_order{.key = "k", .scope = {}});
  std::string bytes = one.encode();
  const auto at = bytes.rfind('\x80');  // the labels: a map of none
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 1, "\xdf\xff\xff\xff\xff");
  EXPECT_FALSE(order::decode(bytes));
}

TEST(order, labels_out_of_order_or_twice_are_refused) {
  order one = sample_order(config_order{.key = "k", .scope = {.labels = {{"a", "1"}, {"b", "2"}}}});
  std::string bytes = one.encode();
  const auto a = bytes.find(
      "\xa1"
      "a\xa1"
      "1");
  ASSERT_NE(a, std::string::npos);
  bytes[a + 1] = 'b';
  EXPECT_FALSE(order::decode(bytes));
  bytes[a + 1] = 'c';
  EXPECT_FALSE(order::decode(bytes));
}

TEST(signed_order, is_genuine_by_its_signer_alone) {
  const signing_key key = new_key();
  const signed_order one = signed_order::make(sample_orders()[0], key);
  EXPECT_TRUE(one.is_genuine());
  EXPECT_EQ(signed_order::decode(one.encode()), one);

  signed_order other = one;
  other.signer = new_key().id();
  EXPECT_FALSE(other.is_genuine());
  other = one;
  other.signature.clear();
  EXPECT_FALSE(other.is_genuine());
  EXPECT_FALSE(signed_order::make_unsigned(sample_orders()[0]).is_genuine());
}

TEST(signed_order, any_bit_flipped_it_is_not_genuine) {
  const signing_key key = new_key();
  const signed_order one =
      signed_order::make(sample_order(promote_order{.node = "b", .epoch = 2}), key);
  for (std::size_t at = 0; at < one.bytes.size() * 8; ++at) {
    signed_order other = one;
    other.bytes[at / 8] = static_cast<char>(other.bytes[at / 8] ^ (1 << (at % 8)));
    EXPECT_FALSE(other.is_genuine()) << at;
  }
  for (std::size_t at = 0; at < one.signature.size() * 8; ++at) {
    signed_order other = one;
    other.signature[at / 8] = static_cast<char>(other.signature[at / 8] ^ (1 << (at % 8)));
    EXPECT_FALSE(other.is_genuine()) << at;
  }
}

TEST(signed_order, cut_at_any_byte_it_is_refused) {
  const std::string bytes = signed_order::make_unsigned(sample_orders()[0]).encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(signed_order::decode(std::string_view(bytes).substr(0, size))) << size;
  }
}

TEST(change, comes_back_as_it_went_and_has_the_bytes_of_its_golden_file) {
  const change one = sample_change();
  const std::string bytes = one.encode();
  EXPECT_EQ(bytes, golden("change", bytes));
  const auto back = change::decode(bytes);
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(*back, one);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(change::decode(std::string_view(bytes).substr(0, size))) << size;
  }
}

TEST(change, its_place_follows_from_its_parent_and_all_that_it_says) {
  const change one = sample_change();
  EXPECT_EQ(one.after().epoch, one.epoch);
  EXPECT_EQ(one.after().seq, one.seq);
  EXPECT_EQ(one.after().state, digest::of(std::string(one.parent.raw()) + one.encode()));
  change other = one;
  other.parent = digest::of("another");
  EXPECT_NE(other.after().state, one.after().state);
  other = one;
  other.ordered.signature[0] = 't';
  EXPECT_NE(other.after().state, one.after().state);
  other = one;
  other.time += std::chrono::milliseconds(1);
  EXPECT_NE(other.after().state, one.after().state);
}

TEST(change, is_said_in_one_way_only) {
  // Its epoch as two bytes where one does.
  std::string bytes = sample_change().encode();
  ASSERT_EQ(bytes[2], '\x03');
  bytes.replace(2, 1, "\xcc\x03");
  const auto back = change::decode(bytes);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().reason, "not a change: its form is wrong");
}

TEST(change, another_form_is_refused_by_name) {
  std::string bytes = sample_change().encode();
  bytes[1] = '\x02';
  const auto back = change::decode(bytes);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::unsupported);
}

TEST(order_id, no_two_are_the_same) {
  std::set<order_id> ids;
  for (int i = 0; i < 1'000; ++i) ids.insert(new_order_id());
  EXPECT_EQ(ids.size(), 1'000u);
  EXPECT_EQ(text(sample_id(0xf0)), "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
}

}  // namespace
}  // namespace troupe::cluster
