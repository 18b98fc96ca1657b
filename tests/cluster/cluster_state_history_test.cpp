// SPDX-License-Identifier: Apache-2.0
#include "cluster/cluster_state.hpp"

#include "tests/cluster/history.hpp"

#include <gtest/gtest.h>

#include <random>

namespace troupe::cluster {
namespace {

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
