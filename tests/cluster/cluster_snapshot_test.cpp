// SPDX-License-Identifier: Apache-2.0
//
// Snapshots from somebody who is not trusted.
#include "cluster/cluster_state.hpp"

#include "tests/cluster/history.hpp"
#include "tests/cluster/samples.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

/// All that a snapshot can have in it.
void fill(history& h) {
  h.begin();
  h.push();
  h.push("shop", {.labels = {{"zone", "eu"}}});
  h.take(h.release("x"), h.admin, "blog");
  h.take(config_order{.key = "k", .value = "v"}, h.admin, "");
  const signing_key key = *signing_key::make();
  h.take(trust_order{.key = key.id(), .roles = 2, .name = "ops"}, h.admin, "");
  h.take(trust_order{.does = trust_order::what::revoke, .key = key.id()}, h.admin, "");
  h.take(trust_order{.does = trust_order::what::add_token,
                     .token = curve_pair::make()->public_key,
                     .token_ends = h.now},
         h.admin, "");
  h.take(h.member("b"), h.admin, "");
}

// Nodes of two versions compare the digest of these bytes at each checkpoint.
TEST(cluster_snapshot, has_the_bytes_of_its_golden_file) {
  cluster_state state;
  std::uint8_t ids = 0;
  const auto take = [&](order_body body, std::uint64_t epoch, std::uint32_t release = 0) {
    order what = sample_order(std::move(body));
    what.id = sample_id(++ids);
    const change one{.epoch = epoch,
                     .seq = state.at().seq + 1,
                     .parent = state.at().state,
                     .time = sample_time(ids),
                     .ordered = signed_order::make_unsigned(what),
                     .release = release};
    const auto taken = state.apply(one);
    EXPECT_TRUE(taken) << taken.error().reason;
    return what.id;
  };
  take(member_order{.name = "a", .address = "10.0.0.1:7000", .may_lead = true}, 0);
  take(promote_order{.node = "a", .epoch = 1}, 1);
  const order_id first =
      take(release_order{.manifest = digest::of("1"), .manifest_bytes = 1}, 1, 1);
  take(activate_order{.push = first, .release = 1}, 1);
  take(config_order{.key = "rate", .value = "500", .scope = sample_selector()}, 1);
  const order_id second =
      take(release_order{.manifest = digest::of("2"), .policy = {.canary_percent = 20}}, 1, 2);
  take(activate_order{.push = second, .release = 2, .to = {.percent = 20, .salt = "s"}}, 1);
  const std::string bytes = state.encode();
  EXPECT_EQ(bytes, golden("snapshot", bytes));
  const auto back = cluster_state::decode(bytes, {});
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(back->encode(), bytes);
}

TEST(cluster_snapshot, cut_at_any_byte_it_is_refused) {
  history h;
  fill(h);
  const std::string bytes = h.state.encode();
  ASSERT_TRUE(cluster_state::decode(bytes, h.root()));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = cluster_state::decode(std::string_view(bytes).substr(0, size), h.root());
    ASSERT_FALSE(cut) << size;
    ASSERT_EQ(cut.error().errc, refusal_errc::malformed);
  }
  EXPECT_FALSE(cluster_state::decode(bytes + '\0', h.root()));
}

TEST(cluster_snapshot, with_any_byte_changed_it_trusts_no_other_key_and_runs_no_other_release) {
  history h;
  fill(h);
  std::string bytes = h.state.encode();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    if (const auto other = cluster_state::decode(bytes, h.root())) {
      EXPECT_EQ(other->trusted().size(), h.state.trusted().size());
      EXPECT_EQ(other->controller(), "a");
      const auto shop = other->apps().find("shop");
      ASSERT_NE(shop, other->apps().end());
      EXPECT_EQ(shop->second.releases.at(shop->second.active_everywhere()).manifest,
                h.state.apps().at("shop").releases.at(1).manifest);
    }
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
  }
}

TEST(cluster_snapshot, of_another_clusters_keys_is_denied) {
  history h;
  fill(h);
  history other;
  const auto back = cluster_state::decode(h.state.encode(), other.root());
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::denied);
  const auto without = cluster_state::decode(h.state.encode(), {});
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().errc, refusal_errc::denied);
}

TEST(cluster_snapshot, of_a_cluster_without_keys_is_denied_by_who_has_some) {
  history open(false);
  open.begin();
  open.push();
  history h;
  const auto back = cluster_state::decode(open.state.encode(), h.root());
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::denied);
}

// A controller of ours that another history was given by: each part of it is denied for itself.
TEST(cluster_snapshot, what_no_trusted_key_ordered_is_denied) {
  history theirs;
  theirs.begin();
  history h;
  auto both = h.root();
  both.merge(std::map(theirs.root()));
  // The same, in a world that trusts both.
  const auto in_both = [&](order_body body, const signing_key& by) {
    history mixed;
    mixed.admin = h.admin;
    cluster_state state(both);
    const auto add = [&](order_body what, const signing_key& signer, std::uint64_t epoch,
                         std::uint32_t release = 0) {
      change one{.epoch = epoch,
                 .seq = state.at().seq + 1,
                 .parent = state.at().state,
                 .time = h.now,
                 .ordered = h.sign(h.make(std::move(what)), signer),
                 .release = release};
      const auto done = state.apply(one);
      EXPECT_TRUE(done) << done.error().reason;
    };
    add(mixed.member("a", true), h.admin, 0);
    add(promote_order{.node = "a", .epoch = 1}, h.admin, 1);
    const bool is_release = std::holds_alternative<release_order>(body);
    add(std::move(body), by, 1, is_release ? 1 : 0);
    EXPECT_TRUE(cluster_state::decode(state.encode(), both));
    return cluster_state::decode(state.encode(), h.root());
  };
  const signing_key key = *signing_key::make();
  const std::vector<std::pair<order_body, std::string>> parts = {
      {h.release(), "a push of shop"},
      {config_order{.key = "k", .value = "v"}, "a value of k"},
      {trust_order{.key = key.id(), .roles = 8, .name = "me"}, "an order of trust"},
  };
  for (const auto& [body, what] : parts) {
    EXPECT_TRUE(in_both(body, h.admin)) << what;
    const auto denied = in_both(body, theirs.admin);
    ASSERT_FALSE(denied) << what;
    EXPECT_EQ(denied.error().errc, refusal_errc::denied);
    EXPECT_NE(denied.error().reason.find(what), std::string::npos) << denied.error().reason;
  }
  // A member is not looked at before somebody wants it to lead.
  const auto with_member = in_both(theirs.member("x"), theirs.admin);
  ASSERT_TRUE(with_member);
  const auto promoted =
      with_member->judge(h.sign(h.make(promote_order{.node = "x", .epoch = 2}), h.admin), h.now);
  ASSERT_FALSE(promoted);
  EXPECT_EQ(promoted.error().reason, "\"x\" was not made a member by a trusted key");
}

TEST(cluster_snapshot, a_key_counts_from_its_adding_to_its_revocation) {
  history h;
  h.begin();
  const signing_key key = *signing_key::make();
  h.take(trust_order{.key = key.id(), .roles = 6, .name = "ops"}, h.admin, "");
  h.take(config_order{.key = "k", .value = "v"}, key, "");
  // Another role from here on; what it ordered before stands.
  h.take(trust_order{.key = key.id(), .roles = 4, .name = "ops"}, h.admin, "");
  h.take(h.release(), key);
  h.take(trust_order{.does = trust_order::what::revoke, .key = key.id()}, h.admin, "");
  const auto back = cluster_state::decode(h.state.encode(), h.root());
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(back->config_of("n", {}).at("k"), "v");
  EXPECT_FALSE(back->trusted().contains(key.id()));
}

TEST(cluster_snapshot, an_older_release_is_proven_when_somebody_goes_back_to_it) {
  history h;
  h.begin();
  h.push();
  h.push();
  auto back = cluster_state::decode(h.state.encode(), h.root());
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->apps().at("shop").releases.at(1).is_proven);
  EXPECT_TRUE(back->apps().at("shop").releases.at(2).is_proven);
  const change one = h.next(h.sign(h.make(rollback_order{.release = 1}), h.admin));
  ASSERT_TRUE(back->apply(one));
  EXPECT_TRUE(back->apps().at("shop").releases.at(1).is_proven);
}

TEST(cluster_snapshot, lists_that_claim_more_than_there_is_take_no_memory) {
  std::string bytes = cluster_state().encode();
  ASSERT_TRUE(cluster_state::decode(bytes, {}));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const char* claim : {"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff"}) {
      std::string other = bytes;
      other.replace(at, 1, claim, 5);
      EXPECT_FALSE(cluster_state::decode(other, {}));
    }
  }
}

TEST(cluster_snapshot, another_form_is_refused_by_name) {
  std::string bytes = cluster_state().encode();
  bytes[1] = '\x07';
  const auto back = cluster_state::decode(bytes, {});
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::unsupported);
  EXPECT_EQ(back.error().reason, "a snapshot of form 7; this troupe knows 2");
}

}  // namespace
}  // namespace troupe::cluster
