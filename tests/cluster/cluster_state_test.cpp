// SPDX-License-Identifier: Apache-2.0
#include "cluster/cluster_state.hpp"

#include "tests/cluster/history.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

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

TEST(cluster_state, pushes_that_are_aborted_push_out_no_release_that_served) {
  history h;
  h.begin();
  h.push();
  h.push();
  for (int i = 0; i < 30; ++i) {
    const order_id id = h.take(h.release("bad " + std::to_string(i)), h.admin);
    h.take(abort_order{.push = id, .reason = "no"}, h.controller());
  }
  const app_state& app = h.state.apps().at("shop");
  EXPECT_TRUE(app.releases.contains(1));
  EXPECT_TRUE(app.releases.at(1).was_active);
  // The newest aborted ones, to look at.
  EXPECT_EQ(app.releases.size(), 7u);
  EXPECT_TRUE(app.releases.contains(32));
  EXPECT_FALSE(app.releases.at(32).was_active);
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

}  // namespace
}  // namespace troupe::cluster
