// SPDX-License-Identifier: Apache-2.0
#include "cluster/cluster_state.hpp"

#include "tests/cluster/history.hpp"

#include <gtest/gtest.h>

#include <random>

namespace troupe::cluster {
namespace {

using std::chrono::hours;

constexpr auto push_role = static_cast<key_roles>(key_role::push);
constexpr auto config_role = static_cast<key_roles>(key_role::config);

void expect_refused(const tl::expected<void, refusal>& result, refusal_errc errc,
                    std::string_view part) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().errc, errc) << result.error().reason;
  EXPECT_NE(result.error().reason.find(part), std::string::npos) << result.error().reason;
}

signing_key add_key(history& h, key_roles roles, std::string name) {
  signing_key key = *signing_key::make();
  h.take(trust_order{.key = key.id(), .roles = roles, .name = std::move(name)}, h.admin, "");
  return key;
}

// ---- pushes

TEST(cluster_state, a_push_is_active_when_it_is_activated) {
  history h;
  h.begin();
  const order_id id = h.take(h.release(), h.admin);
  const app_state& app = h.state.apps().at("shop");
  ASSERT_TRUE(app.under_way);
  EXPECT_EQ(app.under_way->release, 1u);
  EXPECT_EQ(app.active_everywhere(), 0u);
  EXPECT_EQ(h.state.seq_of(id), 3u);
  EXPECT_EQ(h.state.outcome(id), nullptr);

  h.take(activate_order{.push = id, .release = 1}, h.controller());
  EXPECT_EQ(app.active_everywhere(), 1u);
  EXPECT_FALSE(app.under_way);
  ASSERT_NE(h.state.outcome(id), nullptr);
  EXPECT_EQ(h.state.outcome(id)->step, push_step::active);
  EXPECT_EQ(h.state.outcome(id)->seq, 3u);
}

TEST(cluster_state, no_activate_follows_an_abort) {
  history h;
  h.begin();
  const order_id id = h.take(h.release(), h.admin);
  h.take(abort_order{.push = id, .reason = "b: no"}, h.controller());
  EXPECT_EQ(h.state.outcome(id)->step, push_step::aborted);
  EXPECT_EQ(h.state.outcome(id)->reason, "b: no");
  expect_refused(h.try_take(activate_order{.push = id, .release = 1}, h.controller()),
                 refusal_errc::conflict, "has been aborted");
  expect_refused(h.try_take(abort_order{.push = id}, h.controller()), refusal_errc::conflict,
                 "not under way");
}

TEST(cluster_state, only_what_a_signed_order_names_is_activated) {
  history h;
  h.begin();
  const order_id id = h.take(h.release(), h.admin);
  expect_refused(h.try_take(activate_order{.push = id, .release = 2}, h.controller()),
                 refusal_errc::conflict, "is of release 1, not 2");
  expect_refused(h.try_take(activate_order{.push = new_order_id(), .release = 1}, h.controller()),
                 refusal_errc::conflict, "not under way");
  expect_refused(h.try_take(activate_order{.push = id, .release = 1}, h.controller(), "other"),
                 refusal_errc::conflict, "not under way");
  expect_refused(
      h.try_take(activate_order{.push = id, .release = 1, .to = {.labels = {{"zone", "eu"}}}},
                 h.controller()),
      refusal_errc::conflict, "has no canary");
  h.take(activate_order{.push = id, .release = 1}, h.controller());
  expect_refused(h.try_take(activate_order{.push = id, .release = 1}, h.controller()),
                 refusal_errc::conflict, "not under way");
}

TEST(cluster_state, only_the_controller_activates_aborts_and_makes_checkpoints) {
  history h;
  h.begin();
  h.take(h.member("b", true), h.admin);
  const order_id id = h.take(h.release(), h.admin);
  for (const signing_key* by : {&h.admin, &h.node_key("b")}) {
    expect_refused(h.try_take(activate_order{.push = id, .release = 1}, *by), refusal_errc::denied,
                   "only the controller \"a\"");
    expect_refused(h.try_take(abort_order{.push = id}, *by), refusal_errc::denied,
                   "only the controller");
    expect_refused(h.try_take(checkpoint_order{.state = digest::of(h.state.encode())}, *by),
                   refusal_errc::denied, "only the controller");
  }
  // The former controller neither.
  h.take(promote_order{.node = "b", .epoch = 2}, h.admin);
  expect_refused(h.try_take(activate_order{.push = id, .release = 1}, h.node_key("a")),
                 refusal_errc::denied, "only the controller \"b\"");
  h.take(activate_order{.push = id, .release = 1}, h.node_key("b"));
}

TEST(cluster_state, an_app_has_one_push_at_a_time_and_another_app_its_own) {
  history h;
  h.begin();
  const order_id id = h.take(h.release(), h.admin);
  expect_refused(h.try_take(h.release("2"), h.admin), refusal_errc::conflict, "is under way");
  h.take(h.release("3"), h.admin, "blog");
  h.take(activate_order{.push = id, .release = 1}, h.controller());
  h.take(h.release("2"), h.admin);
}

TEST(cluster_state, a_release_that_others_were_first_with_is_overtaken) {
  history h;
  h.begin();
  h.push();
  h.push();
  release_order stale = h.release();
  stale.expect = 1;
  expect_refused(h.try_take(stale, h.admin), refusal_errc::overtaken, "release 2 is active, not 1");
  expect_refused(h.try_take(rollback_order{.release = 1, .expect = 1}, h.admin),
                 refusal_errc::overtaken, "release 2 is active, not 1");
  stale.expect = 2;
  h.take(stale, h.admin);
  EXPECT_EQ(h.state.apps().at("shop").releases.at(3).parent, 2u);
}

TEST(cluster_state, a_rollback_needs_a_release_that_is_there) {
  history h;
  h.begin();
  h.push();
  h.push();
  expect_refused(h.try_take(rollback_order{.release = 3}, h.admin), refusal_errc::missing,
                 "no release 3");
  expect_refused(h.try_take(rollback_order{.release = 1}, h.admin, "blog"), refusal_errc::missing,
                 "no release 1 of blog");
  const order_id id = h.take(rollback_order{.release = 1}, h.admin);
  h.take(activate_order{.push = id, .release = 1}, h.controller());
  EXPECT_EQ(h.state.apps().at("shop").active_everywhere(), 1u);
  EXPECT_EQ(h.push(), 3u);
}

TEST(cluster_state, the_newest_twenty_releases_are_kept_and_what_is_active) {
  history h;
  h.begin();
  const selector eu{.labels = {{"zone", "eu"}}};
  h.push("shop", eu);
  for (int i = 0; i < 5; ++i) h.push("shop", {.labels = {{"zone", "us"}}});
  for (int i = 0; i < 20; ++i) h.push("shop", {.labels = {{"zone", "us"}}});
  const app_state& app = h.state.apps().at("shop");
  EXPECT_EQ(app.releases.size(), 21u);
  EXPECT_TRUE(app.releases.contains(1));
  EXPECT_FALSE(app.releases.contains(2));
  EXPECT_EQ(app.active_on("x", {{"zone", "eu"}}), 1u);
  EXPECT_EQ(app.active_on("x", {{"zone", "us"}}), 26u);
  EXPECT_EQ(app.active_on("x", {}), 0u);
  h.push();
  EXPECT_EQ(app.active.size(), 1u);
  EXPECT_FALSE(app.releases.contains(1));
  EXPECT_EQ(app.active_on("x", {{"zone", "eu"}}), 27u);
  expect_refused(h.try_take(rollback_order{.release = 1}, h.admin), refusal_errc::missing,
                 "no release 1");
}

TEST(cluster_state, a_canary_is_a_part_of_its_push_and_goes_with_its_abort) {
  history h;
  h.begin();
  const selector us{.labels = {{"zone", "us"}}};
  const std::uint32_t before = h.push();
  const std::uint32_t before_us = h.push("shop", us);
  release_order what = h.release("canary");
  what.policy.canary_percent = 20;
  const order_id id = h.take(what, h.admin);
  const selector some{.labels = {}, .percent = 20, .salt = text(id)};
  const std::uint32_t number = h.state.apps().at("shop").last_number;
  h.take(activate_order{.push = id, .release = number, .to = some}, h.controller());
  const app_state& app = h.state.apps().at("shop");
  EXPECT_EQ(app.under_way->step, push_step::canary);
  int on_new = 0;
  for (int i = 0; i < 1'000; ++i) {
    const std::uint32_t on = app.active_on("n" + std::to_string(i), {});
    EXPECT_TRUE(on == before || on == number);
    on_new += on == number ? 1 : 0;
  }
  EXPECT_GT(on_new, 100);
  EXPECT_LT(on_new, 300);
  EXPECT_EQ(app.active_everywhere(), before);
  expect_refused(
      h.try_take(activate_order{.push = id, .release = number, .to = some}, h.controller()),
      refusal_errc::conflict, "has its canary already");

  h.take(abort_order{.push = id, .reason = "errors>1%"}, h.controller());
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(app.active_on("n" + std::to_string(i), {}), before);
    EXPECT_EQ(app.active_on("n" + std::to_string(i), us.labels), before_us);
  }
}

TEST(cluster_state, after_its_canary_a_push_is_for_all_that_it_is_for) {
  history h;
  h.begin();
  release_order what = h.release("canary");
  what.policy.canary_percent = 20;
  what.to = {.labels = {{"zone", "eu"}}};
  const order_id id = h.take(what, h.admin);
  expect_refused(
      h.try_take(activate_order{.push = id, .release = 1, .to = {.percent = 20}}, h.controller()),
      refusal_errc::conflict, "is for more nodes than the push");
  h.take(
      activate_order{
          .push = id, .release = 1, .to = {.labels = {{"zone", "eu"}}, .percent = 20, .salt = "s"}},
      h.controller());
  h.take(activate_order{.push = id, .release = 1, .to = what.to}, h.controller());
  const app_state& app = h.state.apps().at("shop");
  ASSERT_EQ(app.active.size(), 1u);
  EXPECT_EQ(app.active[0].to, what.to);
  EXPECT_EQ(h.state.outcome(id)->step, push_step::active);
}

// ---- who signs

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

// ---- places

TEST(cluster_state, a_change_follows_the_one_before_it_and_no_other) {
  history h;
  h.begin();
  const change right = h.next(h.sign(h.make(h.release()), h.admin));
  const auto with = [&](auto change_it) {
    change other = right;
    change_it(other);
    return h.state.apply(other);
  };
  expect_refused(with([](change& c) { c.seq += 1; }), refusal_errc::conflict,
                 "change 4 does not follow change 2");
  expect_refused(with([](change& c) { c.seq -= 1; }), refusal_errc::conflict,
                 "change 2 does not follow change 2");
  expect_refused(with([](change& c) { c.parent = digest::of("x"); }), refusal_errc::conflict,
                 "follows another history");
  expect_refused(with([](change& c) { c.epoch += 1; }), refusal_errc::conflict, "is of epoch 2");
  expect_refused(with([](change& c) { c.epoch -= 1; }), refusal_errc::conflict, "is of epoch 0");
  expect_refused(with([](change& c) { c.release = 2; }), refusal_errc::conflict,
                 "gives release number 2, not 1");
  ASSERT_TRUE(h.state.apply(right));
  expect_refused(h.state.apply(right), refusal_errc::conflict, "does not follow");
  EXPECT_EQ(h.state.at(), right.after());
}

TEST(cluster_state, an_order_is_taken_once) {
  history h;
  h.begin();
  h.push();
  h.take(config_order{.key = "k", .value = "v"}, h.admin);
  for (const change& one : std::vector<change>(h.changes)) {
    const auto again = h.try_order(one.ordered);
    ASSERT_FALSE(again) << kind_of(*order::decode(one.ordered.bytes));
    EXPECT_EQ(again.error().errc, refusal_errc::conflict);
  }
  const order_id under_way = h.take(h.release("x"), h.admin);
  EXPECT_TRUE(h.state.seq_of(under_way));
  expect_refused(h.try_order(h.changes.back().ordered), refusal_errc::conflict,
                 "has been taken already");
}

TEST(cluster_state, ten_thousand_outcomes_are_kept) {
  history h(false);
  h.begin();
  const order_id first = h.take(config_order{.key = "k", .value = "0"}, h.admin);
  const order_id second = h.take(config_order{.key = "k", .value = "1"}, h.admin);
  for (int i = 1; i < 10'000; ++i) {
    ASSERT_TRUE(h.state.apply(
        h.next(h.sign(h.make(config_order{.key = "k", .value = std::to_string(i)}), h.admin))));
  }
  EXPECT_FALSE(h.state.seq_of(first));
  EXPECT_TRUE(h.state.seq_of(second));
  const auto back = cluster_state::decode(h.state.encode(), {});
  ASSERT_TRUE(back);
  EXPECT_EQ(back->seq_of(second), h.state.seq_of(second));
  EXPECT_FALSE(back->seq_of(first));
}

// ---- members and controllers

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

struct token {
  std::string curve = curve_pair::make()->public_key;
  signed_order grant;
};
token make_token(history& h, const signing_key& by, bool may_lead = false) {
  token result;
  result.grant = h.sign(h.make(trust_order{.does = trust_order::what::add_token,
                                           .token = result.curve,
                                           .token_ends = h.now + hours(1),
                                           .may_lead = may_lead},
                               ""),
                        by);
  return result;
}
member_order with(member_order who, const token& by) {
  who.grant = by.grant.encode();
  return who;
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

// ---- config

TEST(cluster_state, a_value_is_set_unset_and_scoped) {
  history h;
  h.begin();
  const selector eu{.labels = {{"zone", "eu"}}};
  const selector web{.labels = {{"tier", "web"}}};
  h.take(config_order{.key = "rate", .value = "eu", .scope = eu}, h.admin, "");
  h.take(config_order{.key = "rate", .value = "all"}, h.admin, "");
  h.take(config_order{.key = "other", .value = "1"}, h.admin, "");
  using values = std::map<std::string, std::string, std::less<>>;
  // What is scoped wins, though it is older.
  EXPECT_EQ(h.state.config_of("n", {{"zone", "eu"}}), (values{{"other", "1"}, {"rate", "eu"}}));
  EXPECT_EQ(h.state.config_of("n", {{"zone", "us"}}), (values{{"other", "1"}, {"rate", "all"}}));
  // Of two that are scoped, the newer.
  h.take(config_order{.key = "rate", .value = "web", .scope = web}, h.admin, "");
  const label_map both{{"tier", "web"}, {"zone", "eu"}};
  EXPECT_EQ(h.state.config_of("n", both).at("rate"), "web");
  h.take(config_order{.key = "rate", .value = "eu 2", .scope = eu}, h.admin, "");
  EXPECT_EQ(h.state.config_of("n", both).at("rate"), "eu 2");

  h.take(config_order{.key = "rate", .scope = eu}, h.admin, "");
  EXPECT_EQ(h.state.config_of("n", both).at("rate"), "web");
  expect_refused(h.try_take(config_order{.key = "rate", .scope = eu}, h.admin, ""),
                 refusal_errc::missing, "is not set");
  h.take(config_order{.key = "rate"}, h.admin, "");
  h.take(config_order{.key = "rate", .scope = web}, h.admin, "");
  EXPECT_FALSE(h.state.config().contains("rate"));
  expect_refused(h.try_take(config_order{.key = "", .value = "v"}, h.admin, ""),
                 refusal_errc::malformed, "without a name");
}

TEST(cluster_state, a_value_that_others_set_meanwhile_is_not_set_over) {
  history h;
  h.begin();
  expect_refused(h.try_take(config_order{.key = "k", .value = "v", .previous = 1}, h.admin, ""),
                 refusal_errc::overtaken, "was set by change 0, not 1");
  h.take(config_order{.key = "k", .value = "v", .previous = 0}, h.admin, "");
  const std::uint64_t seq = h.state.at().seq;
  expect_refused(h.try_take(config_order{.key = "k", .value = "w", .previous = 0}, h.admin, ""),
                 refusal_errc::overtaken, "was set by change");
  h.take(config_order{.key = "k", .value = "w", .previous = seq}, h.admin, "");
  // Of the same scope: another has its own.
  h.take(config_order{.key = "k", .value = "x", .scope = {.percent = 5}, .previous = 0}, h.admin,
         "");
}

TEST(cluster_state, values_have_a_limit) {
  history h(false);
  h.begin();
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(h.state.apply(h.next(
        h.sign(h.make(config_order{.key = "k" + std::to_string(i), .value = "v"}, ""), h.admin))));
  }
  expect_refused(h.try_take(config_order{.key = "one more", .value = "v"}, h.admin, ""),
                 refusal_errc::too_large, "too many");
  h.take(config_order{.key = "k1", .value = "w"}, h.admin, "");
}

// ---- checkpoints

TEST(cluster_state, a_checkpoint_of_another_state_is_refused) {
  history h;
  h.begin();
  h.push();
  expect_refused(h.try_take(checkpoint_order{.state = digest::of("x")}, h.controller(), ""),
                 refusal_errc::conflict, "the state at change 4 is sha256:");
  const digest right = digest::of(h.state.encode());
  h.take(checkpoint_order{.state = right}, h.controller(), "");
  expect_refused(h.try_take(checkpoint_order{.state = right}, h.controller(), ""),
                 refusal_errc::conflict, "the state at change 5");
}

// ---- random histories

/// Orders of all kinds, valid or not as it comes; some two hundred of them are taken.
void live(history& h, unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  h.begin();
  std::vector<signing_key> keys{h.admin};
  std::map<std::string, order_id> under_way;
  const auto some_selector = [&] {
    selector result;
    if (below(3) == 0) result.labels["zone"] = below(2) == 0 ? "eu" : "us";
    if (below(4) == 0) result.percent = 1 + below(100);
    return result;
  };
  const auto key = [&]() -> const signing_key& { return keys[below(keys.size())]; };
  for (int step = 0; step < 300; ++step) {
    h.now += std::chrono::milliseconds(below(10'000));
    const std::string app = below(2) == 0 ? "shop" : "blog";
    const std::string node = "n" + std::to_string(below(6));
    switch (below(11)) {
      case 0:
      case 1: {
        release_order what = h.release(std::to_string(step));
        what.to = some_selector();
        what.policy.canary_percent = below(2) * 20;
        if (h.try_take(what, key(), app)) under_way[app] = h.last.id;
        break;
      }
      case 2:
        if (h.try_take(rollback_order{.release = below(30), .to = some_selector()}, key(), app)) {
          under_way[app] = h.last.id;
        }
        break;
      case 3:
      case 4: {
        const auto found = h.state.apps().find(app);
        if (found == h.state.apps().end() || !found->second.under_way) break;
        const push_record push = *found->second.under_way;
        selector to = push.to;
        if (push.policy.canary_percent > 0 && push.step == push_step::preparing) {
          to.percent = std::max(1u, to.percent / 5);
        }
        (void)h.try_take(activate_order{.push = push.id, .release = push.release, .to = to},
                         h.controller(), app);
        break;
      }
      case 5:
        (void)h.try_take(abort_order{.push = under_way[app], .reason = "no"}, h.controller(), app);
        break;
      case 6:
        (void)h.try_take(
            config_order{.key = "k" + std::to_string(below(5)),
                         .value = below(4) == 0 ? std::nullopt : std::optional<std::string>("v"),
                         .scope = some_selector()},
            key(), "");
        break;
      case 7: {
        signing_key made = *signing_key::make();
        if (h.try_take(trust_order{.key = made.id(),
                                   .roles = static_cast<key_roles>(1 + below(15)),
                                   .name = "key"},
                       key(), "")) {
          keys.push_back(made);
        } else {
          (void)h.try_take(trust_order{.does = trust_order::what::revoke, .key = keys.back().id()},
                           key(), "");
        }
        break;
      }
      case 8:
        if (below(2) == 0) {
          (void)h.try_take(h.member(node, below(2) == 0), key(), "");
        } else {
          (void)h.try_take(with(h.member(node), make_token(h, key())), h.node_key(node), "");
        }
        break;
      case 9:
        if (below(3) == 0) {
          (void)h.try_take(trust_order{.does = trust_order::what::revoke_node, .name = node}, key(),
                           "");
        } else {
          (void)h.try_order(make_token(h, key()).grant);
        }
        break;
      case 10:
        if (below(2) == 0) {
          (void)h.try_take(promote_order{.node = node, .epoch = h.state.at().epoch + 1 + below(2)},
                           below(2) == 0 ? key() : h.node_key(node), "");
        } else {
          (void)h.try_take(checkpoint_order{.state = digest::of(h.state.encode())}, h.controller(),
                           "");
        }
        break;
    }
  }
}

TEST(cluster_state, the_same_history_makes_the_same_bytes) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    history h;
    live(h, seed);
    EXPECT_GT(h.changes.size(), 60u);
    cluster_state other(h.root());
    cluster_state through_snapshots(h.root());
    std::size_t count = 0;
    for (const change& one : h.changes) {
      ASSERT_TRUE(other.apply(one));
      auto applied = through_snapshots.apply(one);
      ASSERT_TRUE(applied) << applied.error().reason << " seed " << seed;
      if (++count % 7 == 0) {
        auto back = cluster_state::decode(through_snapshots.encode(), h.root());
        ASSERT_TRUE(back) << back.error().reason << " seed " << seed << " change " << count;
        through_snapshots = *std::move(back);
      }
    }
    EXPECT_EQ(other.encode(), h.state.encode());
    EXPECT_EQ(through_snapshots.encode(), h.state.encode()) << seed;
    EXPECT_EQ(through_snapshots.at(), h.state.at());
    EXPECT_EQ(through_snapshots.controller(), h.state.controller());
    for (const auto& [name, app] : h.state.apps()) {
      const app_state& same = through_snapshots.apps().at(name);
      EXPECT_EQ(same.active, app.active);
      EXPECT_EQ(same.under_way.has_value(), app.under_way.has_value());
      for (const char* zone : {"eu", "us", ""}) {
        for (int i = 0; i < 20; ++i) {
          const std::string node = "n" + std::to_string(i);
          EXPECT_EQ(same.active_on(node, {{"zone", zone}}), app.active_on(node, {{"zone", zone}}));
        }
      }
    }
    EXPECT_EQ(through_snapshots.config_of("n", {{"zone", "eu"}}),
              h.state.config_of("n", {{"zone", "eu"}}));
    for (const auto& [key, trusted] : h.state.trusted()) {
      ASSERT_TRUE(through_snapshots.trusted().contains(key));
      EXPECT_EQ(through_snapshots.trusted().at(key).roles, trusted.roles);
    }
    EXPECT_EQ(through_snapshots.trusted().size(), h.state.trusted().size());
    for (const change& one : h.changes) {
      const auto what = order::decode(one.ordered.bytes);
      EXPECT_EQ(through_snapshots.seq_of(what->id), h.state.seq_of(what->id));
    }
  }
}

}  // namespace
}  // namespace troupe::cluster
