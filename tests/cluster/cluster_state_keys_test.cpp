// SPDX-License-Identifier: Apache-2.0
#include "cluster/cluster_state.hpp"

#include "tests/cluster/history.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

TEST(cluster_state, an_order_that_is_not_genuine_is_denied) {
  history h;
  h.begin();
  signed_order forged = h.sign(h.make(h.release()), h.admin);
  forged.bytes[forged.bytes.size() / 2] ^= 1;
  expect_refused(h.try_order(forged), refusal_errc::denied, "not genuine");
  signed_order unsigned_one = signed_order::make_unsigned(h.make(h.release()));
  expect_refused(h.try_order(unsigned_one), refusal_errc::denied, "not signed");
  unsigned_one.signer = h.admin.id();
  expect_refused(h.try_order(unsigned_one), refusal_errc::denied, "not signed");
  // Bytes that are no order are not read, since nobody signed them.
  expect_refused(h.try_order({.bytes = "garbage", .signer = h.admin.id(), .signature = "x"}),
                 refusal_errc::denied, "not genuine");
}

TEST(cluster_state, an_unknown_key_may_nothing) {
  history h;
  h.begin();
  const signing_key stranger = *signing_key::make();
  h.take(config_order{.key = "k", .value = "v"}, h.admin);
  h.push();
  const std::vector<order_body> all = {
      h.release(),
      rollback_order{.release = 1},
      config_order{.key = "k", .value = "w"},
      trust_order{.key = stranger.id(), .roles = 8, .name = "me"},
      trust_order{.does = trust_order::what::revoke, .key = h.admin.id()},
      promote_order{.node = "a", .epoch = 2},
      h.member("b")};
  for (const order_body& body : all) {
    expect_refused(h.try_take(body, stranger), refusal_errc::denied, "is not trusted here");
  }
}

TEST(cluster_state, a_key_may_what_its_roles_say) {
  history h;
  h.begin();
  h.push();
  const signing_key pusher = add_key(h, push_role, "build");
  const signing_key config = add_key(h, config_role, "ops");
  const signing_key reader = add_key(h, static_cast<key_roles>(key_role::read), "eye");
  const auto no_role = "has not the role";
  for (const signing_key* by : {&config, &reader}) {
    expect_refused(h.try_take(h.release(), *by), refusal_errc::denied, no_role);
    expect_refused(h.try_take(rollback_order{.release = 1}, *by), refusal_errc::denied, no_role);
  }
  for (const signing_key* by : {&pusher, &reader}) {
    expect_refused(h.try_take(config_order{.key = "k", .value = "v"}, *by), refusal_errc::denied,
                   no_role);
  }
  for (const signing_key* by : {&pusher, &config, &reader}) {
    expect_refused(h.try_take(trust_order{.key = by->id(), .roles = 8, .name = "me"}, *by),
                   refusal_errc::denied, no_role);
    expect_refused(h.try_take(h.member("b"), *by), refusal_errc::denied, no_role);
    expect_refused(h.try_take(promote_order{.node = "a", .epoch = 2}, *by), refusal_errc::denied,
                   no_role);
  }
  h.take(config_order{.key = "k", .value = "v"}, config);
  h.take(h.release(), pusher);
}

TEST(cluster_state, a_revoked_key_may_nothing_and_does_not_come_back) {
  history h;
  h.begin();
  const signing_key pusher = add_key(h, push_role, "build");
  const signed_order added = h.changes.back().ordered;
  h.take(trust_order{.does = trust_order::what::revoke, .key = pusher.id()}, h.admin, "");
  EXPECT_FALSE(h.state.trusted().contains(pusher.id()));
  expect_refused(h.try_take(h.release(), pusher), refusal_errc::denied, "has been revoked");
  expect_refused(
      h.try_take(trust_order{.key = pusher.id(), .roles = push_role, .name = "b"}, h.admin, ""),
      refusal_errc::denied, "has been revoked");
  expect_refused(h.try_order(added), refusal_errc::conflict, "has been taken already");
}

TEST(cluster_state, the_last_admin_stays) {
  history h;
  h.begin();
  expect_refused(
      h.try_take(trust_order{.does = trust_order::what::revoke, .key = h.admin.id()}, h.admin, ""),
      refusal_errc::conflict, "the last key");
  const signing_key other = add_key(h, static_cast<key_roles>(key_role::admin), "bob");
  h.take(trust_order{.does = trust_order::what::revoke, .key = h.admin.id()}, other, "");
  EXPECT_TRUE(h.state.has_keys());
  expect_refused(h.try_take(h.release(), h.admin), refusal_errc::denied, "has been revoked");
  h.take(h.release(), other);
}

TEST(cluster_state, a_signature_that_was_checked_already_is_not_checked_again) {
  history h;
  h.begin();
  signed_order what = h.sign(h.make(h.release()), h.admin);
  what.signature = std::string(64, 'x');
  expect_refused(h.state.apply(h.next(what)), refusal_errc::denied, "not genuine");
  EXPECT_TRUE(h.state.apply(h.next(what), signature_check::done));
  // Who may do what is judged all the same.
  what = h.sign(h.make(h.release(), "blog"), *signing_key::make());
  expect_refused(h.state.apply(h.next(what), signature_check::done), refusal_errc::denied,
                 "is not trusted here");
}

TEST(cluster_state, a_cluster_without_keys_takes_unsigned_orders_but_no_trust) {
  history h(false);
  h.begin();
  EXPECT_FALSE(h.state.has_keys());
  EXPECT_EQ(h.state.controller(), "a");
  const order_id id = h.take(h.release(), h.admin);
  h.take(activate_order{.push = id, .release = 1}, h.admin);
  h.take(config_order{.key = "k", .value = "v"}, h.admin);
  expect_refused(h.try_take(trust_order{.key = h.admin.id(), .roles = 8, .name = "me"}, h.admin),
                 refusal_errc::denied, "has no keys");
  const auto back = cluster_state::decode(h.state.encode(), {});
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(back->encode(), h.state.encode());
}

}  // namespace
}  // namespace troupe::cluster
