// SPDX-License-Identifier: Apache-2.0
#include "cluster/cluster_state.hpp"

#include "tests/cluster/history.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

using std::chrono::hours;

TEST(cluster_state, who_may_promote) {
  history h;
  h.take(h.member("a", true), h.admin);
  h.take(h.member("b", false), h.admin);
  expect_refused(h.try_take(promote_order{.node = "c", .epoch = 1}, h.admin), refusal_errc::missing,
                 "no member \"c\"");
  expect_refused(h.try_take(promote_order{.node = "b", .epoch = 1}, h.node_key("b")),
                 refusal_errc::denied, "is not trusted here");
  expect_refused(h.try_take(promote_order{.node = "a", .epoch = 1}, h.node_key("b")),
                 refusal_errc::denied, "is not trusted here");
  expect_refused(h.try_take(promote_order{.node = "a", .epoch = 0}, h.admin),
                 refusal_errc::conflict, "does not follow epoch 0");
  expect_refused(h.try_take(promote_order{.node = "a", .epoch = UINT64_MAX}, h.admin),
                 refusal_errc::conflict, "does not follow epoch 0");
  h.take(promote_order{.node = "a", .epoch = 1}, h.node_key("a"));
  EXPECT_EQ(h.state.at().epoch, 1u);
  EXPECT_EQ(h.state.promotion(), h.changes.back().ordered);
  h.take(promote_order{.node = "b", .epoch = 5}, h.admin);
  EXPECT_EQ(h.state.controller(), "b");
  EXPECT_EQ(h.state.at().epoch, 5u);
}

TEST(cluster_state, a_token_makes_one_node_a_member) {
  history h;
  h.begin();
  const token one = make_token(h, h.admin);
  ASSERT_TRUE(h.try_order(one.grant));
  EXPECT_TRUE(h.state.tokens().contains(one.curve));
  h.take(with(h.member("b"), one), h.node_key("b"), "");
  EXPECT_TRUE(h.state.members().contains("b"));
  EXPECT_FALSE(h.state.tokens().contains(one.curve));
  expect_refused(h.try_take(with(h.member("c"), one), h.node_key("c"), ""), refusal_errc::denied,
                 "the token has been used");
  // The same node, asking once more because it missed the answer.
  h.take(with(h.member("b"), one), h.node_key("b"), "");
}

TEST(cluster_state, a_token_is_worth_what_its_signer_and_its_time_are) {
  history h;
  h.begin();
  expect_refused(h.try_take(h.member("b"), h.node_key("b"), ""), refusal_errc::denied,
                 "has no token");
  const signing_key pusher = add_key(h, push_role, "build");
  expect_refused(h.try_take(with(h.member("b"), make_token(h, pusher)), h.node_key("b"), ""),
                 refusal_errc::denied, "has not the role admin");
  expect_refused(
      h.try_take(with(h.member("b"), make_token(h, h.node_key("b"))), h.node_key("b"), ""),
      refusal_errc::denied, "is not trusted here");
  expect_refused(h.try_take(with(h.member("b", true), make_token(h, h.admin)), h.node_key("b"), ""),
                 refusal_errc::denied, "for no controller");
  token forged = make_token(h, h.admin);
  forged.grant.signature[3] ^= 1;
  expect_refused(h.try_take(with(h.member("b"), forged), h.node_key("b"), ""), refusal_errc::denied,
                 "signature is not genuine");
  token other_kind;
  other_kind.grant = h.sign(h.make(config_order{.key = "k", .value = "v"}), h.admin);
  expect_refused(h.try_take(with(h.member("b"), other_kind), h.node_key("b"), ""),
                 refusal_errc::denied, "the token is none");
  // Somebody else's keys with it.
  expect_refused(h.try_take(with(h.member("b"), make_token(h, h.admin)), h.node_key("c"), ""),
                 refusal_errc::denied, "is not trusted here");
  h.take(with(h.member("b", true), make_token(h, h.admin, true)), h.node_key("b"), "");
}

TEST(cluster_state, an_expired_token_is_refused_by_who_takes_the_order_and_by_nobody_later) {
  history h;
  h.begin();
  const signed_order late =
      h.sign(h.make(with(h.member("b"), make_token(h, h.admin)), ""), h.node_key("b"));
  EXPECT_TRUE(h.state.judge(late, h.now + hours(1)));
  const auto judged = h.state.judge(late, h.now + hours(1) + std::chrono::milliseconds(1));
  ASSERT_FALSE(judged);
  EXPECT_EQ(judged.error().errc, refusal_errc::denied);
  EXPECT_EQ(judged.error().reason, "the token has expired");
  change in_the_log = h.next(late);
  in_the_log.time += hours(24 * 30);
  EXPECT_TRUE(h.state.apply(in_the_log));
}

TEST(cluster_state, a_member_is_not_replaced_by_who_has_a_token) {
  history h;
  h.begin();
  h.take(h.member("b"), h.admin, "");
  member_order thief = h.member("x");
  thief.name = "b";
  expect_refused(h.try_take(with(thief, make_token(h, h.admin)), h.node_key("x"), ""),
                 refusal_errc::denied, "with other keys");
  thief.name = "a";
  expect_refused(h.try_take(thief, h.admin, ""), refusal_errc::conflict, "is the controller");
  member_order twin = h.member("c");
  twin.curve = h.node_curve("b");
  expect_refused(h.try_take(twin, h.admin, ""), refusal_errc::conflict, "has the CURVE key");
}

TEST(cluster_state, a_member_says_its_own_address_and_nothing_more) {
  history h;
  h.begin();
  h.take(h.member("b"), h.admin, "");
  member_order moved = h.member("b");
  moved.address = "10.0.0.9:7000";
  h.take(moved, h.node_key("b"), "");
  EXPECT_EQ(h.state.members().at("b").address, "10.0.0.9:7000");
  moved.may_lead = true;
  expect_refused(h.try_take(moved, h.node_key("b"), ""), refusal_errc::denied, "has no token");
  member_order other = h.member("c");
  other.name = "b";
  expect_refused(h.try_take(other, h.node_key("b"), ""), refusal_errc::denied,
                 "is not trusted here");
  const auto back = cluster_state::decode(h.state.encode(), h.root());
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(back->members().at("b").address, "10.0.0.9:7000");
}

TEST(cluster_state, a_members_key_that_may_push_too_makes_it_no_other_member) {
  history h;
  h.begin();
  h.take(h.member("b", true), h.admin, "");
  h.take(trust_order{.key = h.node_key("b").id(), .roles = push_role, .name = "b"}, h.admin, "");
  h.take(h.member("b", true), h.node_key("b"), "");
  h.take(promote_order{.node = "b", .epoch = 2}, h.admin, "");
  const auto back = cluster_state::decode(h.state.encode(), h.root());
  ASSERT_TRUE(back) << back.error().reason;
}

TEST(cluster_state, a_node_that_was_revoked_comes_back_with_new_keys_only) {
  history h;
  h.begin();
  h.take(h.member("b"), h.admin, "");
  h.take(trust_order{.does = trust_order::what::revoke_node, .name = "b"}, h.admin, "");
  EXPECT_FALSE(h.state.members().contains("b"));
  expect_refused(h.try_take(h.member("b"), h.admin, ""), refusal_errc::denied, "been revoked");
  expect_refused(h.try_take(with(h.member("b"), make_token(h, h.admin)), h.node_key("b"), ""),
                 refusal_errc::denied, "been revoked");
  member_order anew = h.member("b2");
  anew.name = "b";
  h.take(anew, h.admin, "");
  expect_refused(
      h.try_take(trust_order{.does = trust_order::what::revoke_node, .name = "a"}, h.admin, ""),
      refusal_errc::conflict, "promote another first");
}

TEST(cluster_state, a_member_that_was_removed_may_come_back) {
  history h;
  h.begin();
  h.take(h.member("b"), h.admin, "");
  member_order gone = h.member("b");
  gone.removed = true;
  expect_refused(h.try_take(gone, h.node_key("c"), ""), refusal_errc::denied, "not trusted");
  h.take(gone, h.node_key("b"), "");
  EXPECT_FALSE(h.state.members().contains("b"));
  expect_refused(h.try_take(gone, h.admin, ""), refusal_errc::missing, "no member \"b\"");
  h.take(h.member("b"), h.admin, "");
  gone = h.member("a");
  gone.removed = true;
  expect_refused(h.try_take(gone, h.admin, ""), refusal_errc::conflict, "promote another first");
}

TEST(cluster_state, names_are_words) {
  history h;
  h.begin();
  for (const char* name : {"", "a b", "x/y", "\n"}) {
    member_order who = h.member("b");
    who.name = name;
    expect_refused(h.try_take(who, h.admin, ""), refusal_errc::malformed, "no name");
    expect_refused(h.try_take(h.release(), h.admin, name), refusal_errc::malformed, "no name");
  }
}

}  // namespace
}  // namespace troupe::cluster
