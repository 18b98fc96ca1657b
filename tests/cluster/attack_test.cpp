// SPDX-License-Identifier: Apache-2.0
//
// What somebody in between may send: forged, tampered with, played again.
#include "tests/cluster/scenario.hpp"

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;

TEST(cluster_attack, a_forged_order_is_denied_before_it_is_read) {
  simulation world({.nodes = 2, .has_keys = true});
  begin(world);
  const auto stranger = *signing_key::make();
  config_order body;
  body.key = "limit";
  body.value = "1";
  const order what = world.make_order("default", body);
  auto& unknown = world.submit_signed("n0", signed_order::make(what, stranger), what.id);
  ASSERT_TRUE(await(world, unknown));
  EXPECT_EQ(unknown.last->error, "denied");
  const order other = world.make_order("default", body);
  signed_order bent = world.sign(other);
  bent.bytes.back() = static_cast<char>(bent.bytes.back() ^ 1);
  auto& forged = world.submit_signed("n0", bent, other.id);
  ASSERT_TRUE(await(world, forged));
  EXPECT_EQ(forged.last->error, "denied");
  expect_sound(world);
  EXPECT_TRUE(world.at("n1").values.empty());
}

TEST(cluster_attack, a_change_that_a_relay_forges_is_not_taken) {
  simulation world({.nodes = 2, .has_keys = true});
  begin(world);
  auto& node = world.at("n0");
  const position before = node.node->state().at();
  config_order body;
  body.key = "limit";
  body.value = "1";
  change forged;
  forged.epoch = before.epoch;
  forged.seq = before.seq + 1;
  forged.parent = before.state;
  forged.ordered = signed_order::make(world.make_order("default", body), *signing_key::make());
  node.node->on_announced(topic_changes, announcement{forged, {}}, world.now());
  EXPECT_EQ(node.node->state().at(), before);
  EXPECT_TRUE(node.values.empty());
  expect_sound(world);
}

TEST(cluster_attack, a_tampered_content_is_fetched_again_and_never_served) {
  simulation world({.nodes = 2});
  begin(world);
  unsigned tampered = 0;
  world.filter = [&](const std::string& from, const std::string& to, const message& what) {
    const auto* several = std::get_if<blob_pieces>(&what);
    const auto* one = std::get_if<blob_piece>(&what);
    if ((several == nullptr && one == nullptr) || to != "n0" || tampered != 0) return true;
    ++tampered;
    blob_pieces bent = several != nullptr ? *several : blob_pieces{{*one}};
    std::string& bytes = bent.list.front().bytes;
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    EXPECT_EQ(from, "c0");
    world.at("n0").node->on_message(bent, world.now());
    return false;
  };
  auto& push = world.push("n1", "shop", 2);
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "active") << push.last->reason;
  EXPECT_EQ(tampered, 1u);
  expect_sound(world);
}

TEST(cluster_attack, an_old_announcement_played_again_does_nothing) {
  simulation world({.nodes = 2});
  std::vector<message> heard;
  world.filter = [&](const std::string&, const std::string& to, const message& what) {
    const bool is_kept =
        std::holds_alternative<announcement>(what) || std::holds_alternative<beacon>(what);
    if (to == "n0" && is_kept) heard.push_back(what);
    return true;
  };
  begin(world);
  auto& second = world.push("n0", "shop", 2);
  ASSERT_TRUE(await(world, second));
  auto& node = world.at("n0");
  const position before = node.node->state().at();
  const auto activated = node.activated["shop"];
  world.filter = nullptr;
  for (const message& old : heard) {
    const bool is_beacon = std::holds_alternative<beacon>(old);
    node.node->on_announced(is_beacon ? topic_beacons : topic_changes, old, world.now());
  }
  world.run_for(100ms);
  EXPECT_EQ(node.node->state().at(), before);
  EXPECT_EQ(node.activated["shop"], activated);
  expect_sound(world);
}

TEST(cluster_attack, a_forged_beacon_makes_no_node_current) {
  simulation world({.nodes = 2, .has_keys = true});
  begin(world);
  world.filter = [](const std::string&, const std::string& to, const message& what) {
    return to != "n0" || !std::holds_alternative<beacon>(what);
  };
  auto& node = world.at("n0");
  EXPECT_TRUE(node.node->is_current(world.now()));
  const auto last = node.node->last_beacon();
  wall_time says{std::chrono::hours(1'000'000)};
  for (int i = 0; i < 40; ++i) {
    node.node->on_announced(topic_beacons,
                            beacon{node.node->state().at(), says += 1s, "c0", std::string(64, 's')},
                            world.now());
    world.run_for(100ms);
  }
  EXPECT_EQ(node.node->last_beacon(), last);
  EXPECT_FALSE(node.node->is_current(world.now()));
  world.filter = nullptr;
  expect_sound(world);
  EXPECT_TRUE(node.node->is_current(world.now()));
}

}  // namespace
}  // namespace troupe::tests
