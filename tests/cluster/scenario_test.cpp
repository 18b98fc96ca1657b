// SPDX-License-Identifier: Apache-2.0
//
// Each fault that a cluster has to survive and that needs no real socket, by name.
#include "tests/cluster/scenario.hpp"

#include "cluster/promotion.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;

std::uint32_t serving(simulation& world, const std::string& name) {
  const auto& all = world.at(name).serving;
  const auto found = all.find("shop");
  return found != all.end() ? found->second : 0;
}

/// Its calls that hang are done now, in their order.
void go_on(simulation& world, const std::string& name) {
  world.at(name).mode = host_mode::good;
  for (auto& [app, call] : std::exchange(world.at(name).hanging, {})) call();
}

TEST(cluster_scenario, a_push_reaches_every_node) {
  simulation world({.nodes = 3});
  begin(world);
  for (const std::string& name : world.names()) EXPECT_EQ(serving(world, name), 1u) << name;
  expect_sound(world);
}

TEST(cluster_scenario, who_lists_nodes_after_a_push_sees_what_it_did) {
  simulation world({.relays = 1, .nodes = 3});
  begin(world);
  auto& push = world.push("n0", "shop", 2);
  ASSERT_TRUE(await(world, push));
  const auto& leads = *world.leader()->leads;
  for (const node_report& one : leads.nodes(world.now())) {
    EXPECT_EQ(one.at, leads.state().at()) << one.name;
    EXPECT_EQ(one.active.at("shop"), 2u) << one.name;
  }
  auto& value = world.set("n1", "limit", "500");
  ASSERT_TRUE(await(world, value));
  for (const node_report& one : leads.nodes(world.now())) {
    EXPECT_EQ(one.at, leads.state().at()) << one.name;
  }
}

TEST(cluster_scenario, a_node_that_is_gone_is_named_after_a_restart_of_the_controller_too) {
  simulation world({.nodes = 2});
  begin(world);
  world.kill("n1");
  world.kill("c0");
  world.start("c0");
  world.run_for(4'000ms);
  auto& push = world.push("n0", "shop", 2);
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "active") << push.last->reason;
  const auto& nodes = push.last->nodes;
  const auto gone = std::find_if(nodes.begin(), nodes.end(),
                                 [](const node_progress& one) { return one.name == "n1"; });
  ASSERT_NE(gone, nodes.end());
  EXPECT_EQ(gone->state, node_outcome::unreachable);
  expect_sound(world);
}

TEST(cluster_scenario, a_node_that_does_not_come_to_load_what_is_active_says_so) {
  simulation world({.nodes = 3});
  begin(world);
  world.at("n1").mode = host_mode::hangs;
  push_policy policy;
  policy.require_percent = 60;
  policy.prepare_deadline = 500ms;
  auto& push = world.push("n0", "shop", 2, policy);
  const instant begun = world.now();
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "partial");
  EXPECT_LT(world.now() - begun, 2'000ms);
  world.run_for(4'000ms);
  EXPECT_NE(world.at("n1").node->report().problem.find("release 2 is active and still being loaded"),
            std::string::npos)
      << world.at("n1").node->report().problem;
  expect_sound(world);
}

TEST(cluster_scenario, one_refusal_and_nothing_is_activated_anywhere) {
  simulation world({.nodes = 3});
  begin(world);
  world.at("n1").mode = host_mode::refuses;
  auto& push = world.push("n0", "shop", 2);
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "aborted");
  EXPECT_EQ(push.last->error, "check_failed");
  EXPECT_NE(push.last->reason.find("n1: lua/a.lua:3:"), std::string::npos) << push.last->reason;
  for (const std::string& name : world.names()) {
    EXPECT_EQ(serving(world, name), 1u) << name;
    EXPECT_EQ(world.at(name).activated["shop"].size(), 1u) << name;
  }
  expect_sound(world);
}

TEST(cluster_scenario, a_share_that_is_ready_is_enough_if_the_push_says_so) {
  simulation world({.nodes = 3});
  begin(world);
  world.at("n1").mode = host_mode::refuses;
  push_policy policy;
  policy.require_percent = 70;
  auto& push = world.push("n0", "shop", 2, policy);
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "partial");
  EXPECT_EQ(serving(world, "n0"), 2u);
  EXPECT_EQ(serving(world, "n1"), 1u);
  expect_sound(world);
}

TEST(cluster_scenario, a_node_that_hangs_delays_no_value_and_a_push_until_its_deadline) {
  simulation world({.nodes = 3});
  begin(world);
  world.at("n1").mode = host_mode::hangs;
  const instant begun = world.now();
  auto& push = world.push("n0", "shop", 2);
  auto& value = world.set("n2", "limit", "500");
  ASSERT_TRUE(await(world, value));
  EXPECT_LT(value.done_at - begun, 100ms);
  EXPECT_FALSE(push.is_done);
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "aborted");
  EXPECT_EQ(push.last->error, "timeout");
  EXPECT_GE(push.done_at - begun, 10'000ms);
  EXPECT_LT(push.done_at - begun, 10'500ms);
  expect_sound(world);
}

TEST(cluster_scenario, a_full_disk_is_the_reason_of_a_refusal) {
  simulation world({.nodes = 3});
  begin(world);
  world.fill_disk("n1", true);
  auto& push = world.push("n0", "shop", 2);
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "aborted");
  EXPECT_NE(push.last->reason.find("No space left"), std::string::npos) << push.last->reason;
  expect_sound(world);
  EXPECT_EQ(serving(world, "n1"), 1u);
}

TEST(cluster_scenario, the_controller_is_killed_at_each_append_of_a_push) {
  for (const bool after : {false, true}) {
    for (unsigned append = 0; append < 2; ++append) {
      simulation world({.seed = append + 1, .nodes = 3});
      begin(world);
      if (append == 0) {
        world.kill_at_append("c0", after);
      } else {
        // The release is in its log; it dies with the activate.
        world.filter = [&](const std::string&, const std::string&, const message& what) {
          if (std::holds_alternative<acknowledgements>(what)) world.kill_at_append("c0", after);
          return true;
        };
      }
      auto& push = world.push("n0", "shop", 2);
      ASSERT_TRUE(world.run_until([&] { return !world.at("c0").is_up; }, 5'000ms));
      world.filter = nullptr;
      ASSERT_TRUE(await(world, push));
      expect_sound(world);
      const bool is_active = push.last->state == "active";
      for (const std::string& name : world.names()) {
        EXPECT_EQ(serving(world, name), is_active ? world.leader()->serving.at("shop") : 1u)
            << name;
      }
      if (append == 1) {
        EXPECT_EQ(is_active, after);
      }
    }
  }
}

TEST(cluster_scenario, a_node_is_killed_at_each_step_of_a_push) {
  for (unsigned step = 0; step < 4; ++step) {
    simulation world({.seed = step + 1, .nodes = 3});
    begin(world);
    if (step == 0) world.kill_at_append("n1", false);
    if (step == 1) world.kill_at_append("n1", true);
    if (step == 2) world.at("n1").dies_at_prepare = true;
    if (step == 3) world.at("n1").dies_at_activate = true;
    auto& push = world.push("n0", "shop", 2);
    ASSERT_TRUE(await(world, push)) << step;
    expect_sound(world);
    EXPECT_EQ(serving(world, "n1"), serving(world, "n0")) << step;
  }
}

TEST(cluster_scenario, both_sides_of_a_partition_push) {
  simulation world({.leaders = 2, .nodes = 4});
  begin(world);
  world.run_for(3'000ms);
  const std::set<std::string> cut{"c0", "n0", "n1"};
  world.cut_off(cut);
  world.promote("c1");
  ASSERT_TRUE(world.run_until([&] { return world.at("c1").leads != nullptr; }, 20'000ms));
  world.run_for(3'000ms);
  auto& here = world.set("c0", "side", "old");
  auto& there = world.set("c1", "side", "new");
  ASSERT_TRUE(await(world, here));
  ASSERT_TRUE(await(world, there));
  expect_sound(world);
  // The old one has stepped down, and lists what it acknowledged.
  EXPECT_EQ(world.leader()->name, "c1");
  const auto aside = world.at("c0").log.aside();
  ASSERT_TRUE(aside);
  bool is_listed = false;
  for (const change& lost : *aside) is_listed |= order::decode(lost.ordered.bytes)->id == here.id;
  EXPECT_TRUE(is_listed);
  for (const std::string& name : world.names()) EXPECT_EQ(world.at(name).values["side"], "new");
}

TEST(cluster_scenario, two_promotions_at_once_end_with_one_controller) {
  simulation world({.leaders = 3, .nodes = 3});
  begin(world);
  world.kill("c0");
  world.cut("c1", "c2");
  world.promote("c1", 2);
  world.promote("c2", 2);
  ASSERT_TRUE(world.run_until(
      [&] { return world.at("c1").leads != nullptr && world.at("c2").leads != nullptr; },
      20'000ms));
  world.set("c1", "who", "c1");
  world.set("c2", "who", "c2");
  world.run_for(2'000ms);
  expect_sound(world);
  unsigned leading = 0;
  for (const char* name : {"c0", "c1", "c2"}) leading += world.at(name).leads ? 1 : 0;
  EXPECT_EQ(leading, 1u);
}

TEST(cluster_scenario, a_clock_that_jumps_changes_nothing) {
  simulation world({.nodes = 3});
  begin(world);
  world.jump_clock("c0", -3'600'000ms);
  world.jump_clock("n1", 7'200'000ms);
  auto& push = world.push("n0", "shop", 2);
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "active");
  // Started anew with a clock that is behind: its beacons are taken again after a silence.
  world.kill("c0");
  world.jump_clock("c0", -3'600'000ms);
  world.start("c0");
  expect_sound(world);
  world.run_for(3'000ms);
  EXPECT_TRUE(world.at("n0").node->is_current(world.now()));
}

TEST(cluster_scenario, a_relay_that_holds_announcements_back_only_delays) {
  simulation world({.relays = 2, .nodes = 3, .through_relays = true});
  begin(world);
  world.filter = [](const std::string& from, const std::string&, const message& what) {
    return from != "r0" ||
           !(std::holds_alternative<announcement>(what) || std::holds_alternative<repeat>(what));
  };
  auto& value = world.set("n0", "limit", "500");
  // Beacons show the gap.
  EXPECT_TRUE(world.run_until([&] { return world.is_converged(); }, 2'500ms))
      << world.why_not_converged();
  ASSERT_TRUE(await(world, value));
  expect_sound(world);
}

TEST(cluster_scenario, a_node_moves_between_relays_during_a_push) {
  simulation world({.relays = 2, .nodes = 4, .through_relays = true});
  begin(world);
  world.at("n3").mode = host_mode::slow;
  auto& push = world.push("n0", "shop", 2);
  world.run_for(300ms);
  world.move("n0");
  world.move("n3");
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "active") << push.last->reason;
  // Each once, by its name.
  std::set<std::string> counted;
  for (const node_progress& one : push.last->nodes) {
    EXPECT_TRUE(counted.insert(one.name).second) << one.name;
  }
  EXPECT_EQ(counted.size(), world.names().size());
  expect_sound(world);
}

TEST(cluster_scenario, a_node_comes_back_after_its_log_was_cut_and_contents_were_swept) {
  simulation world({.nodes = 2, .checkpoint_every = 10});
  begin(world);
  world.kill("n0");
  for (unsigned release = 2; release < 6; ++release) {
    auto& push = world.push("n1", "shop", release);
    ASSERT_TRUE(await(world, push));
    for (unsigned i = 0; i < 10; ++i) world.set("n1", "key" + std::to_string(i), "x");
    world.run_for(200ms);
  }
  EXPECT_GT(world.at("c0").log.begins_after(), world.at("n0").log.head().seq);
  world.sweep("c0");
  world.start("n0");
  expect_sound(world);
  // Of the releases that it missed it loaded the newest only.
  const auto& activated = world.at("n0").activated["shop"];
  ASSERT_FALSE(activated.empty());
  EXPECT_EQ(activated.back(), serving(world, "c0"));
  EXPECT_EQ(std::count(activated.begin(), activated.end(), 3u), 0);
}

TEST(cluster_scenario, an_order_that_comes_again_is_not_done_twice) {
  simulation world({.nodes = 2});
  begin(world);
  const order what = world.make_order("default", config_order{"limit", "1", {}, {}});
  auto& once = world.submit("n0", what);
  ASSERT_TRUE(await(world, once));
  const position before = world.leader()->leads->state().at();
  auto& again = world.submit("n1", what);
  ASSERT_TRUE(await(world, again));
  EXPECT_EQ(again.last->state, "applied");
  EXPECT_EQ(world.leader()->leads->state().at(), before);
}

TEST(cluster_scenario, a_push_that_was_refused_is_not_done_when_a_copy_of_it_comes_late) {
  simulation world({.nodes = 2});
  begin(world);
  auto& node = world.at("n0");
  node.mode = host_mode::hangs;
  auto& first = world.push("n1", "shop", 2);
  ASSERT_TRUE(world.run_until([&] { return !node.hanging.empty(); }, 5'000ms));
  auto& refused = world.push("n1", "shop", 3);
  ASSERT_TRUE(await(world, refused));
  ASSERT_EQ(refused.last->error, "conflict") << refused.last->reason;
  go_on(world, "n0");
  ASSERT_TRUE(await(world, first));
  ASSERT_EQ(first.last->state, "active") << first.last->reason;
  auto& copy = world.submit_signed("n1", refused.what, refused.id);
  ASSERT_TRUE(await(world, copy));
  EXPECT_EQ(copy.last->error, "conflict");
  expect_sound(world);
  EXPECT_EQ(serving(world, "n0"), 2u);
}

TEST(cluster_scenario, canaries_that_fail_go_back_by_themselves) {
  simulation world({.nodes = 4});
  begin(world);
  push_policy policy;
  policy.canary_percent = 40;
  policy.canary_watch = 5'000ms;
  policy.stop_if = "errors>1%";
  auto& push = world.push("n0", "shop", 2, policy);
  ASSERT_TRUE(world.run_until([&] { return push.last && push.last->state == "canary"; }, 5'000ms));
  for (const std::string& name : world.names()) world.at(name).errors = 5;
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "aborted");
  EXPECT_EQ(push.last->error, "canary_failed");
  expect_sound(world);
  for (const std::string& name : world.names()) EXPECT_EQ(serving(world, name), 1u) << name;
}

TEST(cluster_scenario, a_push_for_some_waits_for_those_only) {
  simulation world({.nodes = 4});
  begin(world);
  world.at("n1").mode = host_mode::hangs;  // in zone us
  selector to;
  to.labels["zone"] = "eu";
  auto& push = world.push("n1", "shop", 2, {}, to);
  ASSERT_TRUE(await(world, push));
  EXPECT_EQ(push.last->state, "active");
  EXPECT_EQ(serving(world, "n0"), 2u);
  EXPECT_EQ(serving(world, "n1"), 1u);
  expect_sound(world);
}

TEST(cluster_scenario, one_app_that_fails_does_not_hold_up_another) {
  simulation world({.nodes = 2});
  begin(world);
  world.at("n0").mode = host_mode::hangs;
  auto& stuck = world.push("n1", "shop", 2);
  world.run_for(100ms);
  world.at("n0").mode = host_mode::good;
  auto& other = world.push("n1", "blog", 1);
  ASSERT_TRUE(await(world, other));
  EXPECT_EQ(other.last->state, "active");
  EXPECT_FALSE(stuck.is_done);
  expect_sound(world);
}

// ---- hosts that are late, histories that end

/// c1 leads, and knows nothing of what c0 and n0 did while it was away.
void lead_without_the_others(simulation& world) {
  world.cut("n0", "c1");
  world.start("c1");
  world.promote("c1");
  ASSERT_TRUE(world.run_until([&] { return world.at("c1").leads != nullptr; }, 20'000ms));
}

TEST(cluster_scenario, a_swap_that_comes_late_does_not_stay_when_another_release_is_wanted) {
  simulation world({.nodes = 2});
  begin(world);
  auto& late = world.at("n0");
  world.filter = [&](const std::string& from, const std::string&, const message& what) {
    const auto* acks = std::get_if<acknowledgements>(&what);
    if (from == "n0" && acks != nullptr) late.mode = host_mode::hangs;  // when it is ready
    return true;
  };
  world.push("n1", "shop", 2);
  ASSERT_TRUE(world.run_until([&] { return late.activated["shop"].size() == 2; }, 5'000ms));
  world.filter = nullptr;
  rollback_order back;
  back.release = 1;
  back.policy.require_percent = 50;
  back.policy.prepare_deadline = 1'000ms;
  auto& again = world.submit("n1", world.make_order("shop", back));
  ASSERT_TRUE(world.run_until([&] { return serving(world, "n1") == 1; }, 5'000ms));
  ASSERT_TRUE(world.run_until(
      [&] { return late.node->state().apps().at("shop").active_on("n0", {}) == 1; }, 5'000ms));
  go_on(world, "n0");
  ASSERT_TRUE(await(world, again));
  expect_sound(world);
  EXPECT_EQ(serving(world, "n0"), 1u);
}

TEST(cluster_scenario, a_release_of_a_history_that_is_no_more_is_not_swapped_in) {
  simulation world({.leaders = 2, .nodes = 1});
  begin(world);
  auto& node = world.at("n0");
  // An app of which no release is active yet.
  node.mode = host_mode::refuses;
  auto& none = world.push("c0", "blog", 1);
  ASSERT_TRUE(await(world, none));
  node.mode = host_mode::good;
  world.kill("c1");
  world.run_for(4'000ms);  // nobody waits for it any more
  // It hears of a release and that it is active, and gets no content of it.
  world.filter = [](const std::string&, const std::string& to, const message& what) {
    return to != "n0" || (!std::holds_alternative<blob_piece>(what) &&
                          !std::holds_alternative<blob_pieces>(what) &&
                          !std::holds_alternative<announcement>(what));
  };
  push_policy share;
  share.require_percent = 50;
  share.prepare_deadline = 1'000ms;
  world.push("c0", "blog", 2, share);
  ASSERT_TRUE(world.run_until(
      [&] { return node.node->state().apps().at("blog").active_on("n0", {}) == 2; }, 20'000ms));
  world.kill("c0");
  lead_without_the_others(world);
  world.cut("n0", "c1", false);
  ASSERT_TRUE(world.run_until([&] { return node.node->state().at().epoch == 2; }, 20'000ms));
  world.run_for(2'000ms);
  // The same contents come for another push.
  world.filter = nullptr;
  auto& other = world.push("c1", "blog", 2);
  ASSERT_TRUE(await(world, other));
  EXPECT_EQ(other.last->state, "active") << other.last->reason;
  EXPECT_EQ(node.serving["blog"], 2u);
  expect_sound(world);
}

TEST(cluster_scenario, a_controller_that_took_over_fetches_what_it_never_ran) {
  simulation world({.leaders = 2, .nodes = 3});
  begin(world);
  world.kill("n2");
  world.run_for(4'000ms);  // nobody waits for it any more
  selector eu;
  eu.labels["zone"] = "eu";  // n0 and n2
  auto& push = world.push("c0", "blog", 7, {}, eu);
  ASSERT_TRUE(await(world, push));
  ASSERT_EQ(push.last->state, "active") << push.last->reason;
  world.kill("c0");
  world.promote("c1");
  ASSERT_TRUE(world.run_until([&] { return world.at("c1").leads != nullptr; }, 20'000ms));
  world.start("n2");
  EXPECT_TRUE(world.run_until([&] { return world.at("n2").serving["blog"] == 1; }, 20'000ms))
      << world.at("n2").node->report().problem;
  expect_sound(world);
}

TEST(cluster_scenario, a_content_that_only_nodes_below_a_relay_have_is_found) {
  simulation world({.leaders = 2, .relays = 1, .nodes = 3, .through_relays = true});
  begin(world);
  world.kill("n2");
  world.run_for(4'000ms);  // nobody waits for it any more
  selector eu;
  eu.labels["zone"] = "eu";  // n0 and n2
  auto& push = world.push("c0", "blog", 7, {}, eu);
  ASSERT_TRUE(await(world, push));
  ASSERT_EQ(push.last->state, "active") << push.last->reason;
  world.kill("c0");
  world.promote("c1");
  ASSERT_TRUE(world.run_until([&] { return world.at("c1").leads != nullptr; }, 20'000ms));
  // As when the relay is a new one.
  for (const char* name : {"c1", "r0"}) {
    for (const auto& [content, bytes] : push.blobs) world.at(name).blobs.remove(content);
  }
  world.start("n2");
  EXPECT_TRUE(world.run_until([&] { return world.at("n2").serving["blog"] == 1; }, 20'000ms))
      << world.at("n2").node->report().problem;
  expect_sound(world);
}

TEST(cluster_scenario, a_content_that_nobody_has_any_more_is_said_to_be_gone) {
  simulation world({.relays = 1, .nodes = 2, .through_relays = true});
  begin(world);
  std::optional<bool> is_gone;
  world.filter = [&](const std::string& from, const std::string&, const message& what) {
    const auto* piece = std::get_if<blob_piece>(&what);
    if (from == "r0" && piece != nullptr && piece->ask == 77) is_gone = piece->gone;
    return true;
  };
  world.deliver("n0", "r0", fetch_blob{77, digest::of("what nobody ever sent"), 0});
  ASSERT_TRUE(world.run_until([&] { return is_gone.has_value(); }, 20'000ms));
  EXPECT_TRUE(*is_gone);
}

TEST(cluster_scenario, a_rollback_that_was_refused_stays_refused) {
  simulation world({.nodes = 2});
  begin(world);
  rollback_order back;
  back.release = 2;
  const order what = world.make_order("shop", back);
  auto& refused = world.submit("n0", what);
  ASSERT_TRUE(await(world, refused));
  EXPECT_EQ(refused.last->error, "missing");
  for (unsigned content : {2, 3}) {
    auto& push = world.push("n0", "shop", content);
    ASSERT_TRUE(await(world, push));
  }
  auto& late = world.submit("n1", what);
  ASSERT_TRUE(await(world, late));
  EXPECT_EQ(late.last->error, "missing");
  EXPECT_EQ(serving(world, "n0"), 3u);
  expect_sound(world);
}

TEST(cluster_scenario, a_release_of_the_same_number_in_another_history_is_another) {
  simulation world({.leaders = 2, .nodes = 1});
  begin(world);
  world.kill("c1");
  auto& lost = world.push("c0", "shop", 2);
  ASSERT_TRUE(await(world, lost));
  ASSERT_TRUE(world.run_until([&] { return serving(world, "n0") == 2; }, 5'000ms));
  world.kill("c0");
  lead_without_the_others(world);
  auto& other = world.push("c1", "shop", 3);
  ASSERT_TRUE(await(world, other));
  EXPECT_EQ(other.last->state, "active") << other.last->reason;
  world.cut("n0", "c1", false);
  expect_sound(world);
  EXPECT_EQ(world.at("n0").activated["shop"], (std::vector<std::uint32_t>{1, 2, 2}));
}

TEST(cluster_scenario, what_was_active_and_the_next_controller_aborted_is_kept_aside) {
  simulation world({.leaders = 2, .nodes = 1});
  begin(world);
  world.at("n0").mode = host_mode::hangs;
  push_policy patient;
  patient.prepare_deadline = 20'000ms;
  auto& push = world.push("c0", "shop", 2, patient);
  const auto& next = world.at("c1");
  ASSERT_TRUE(world.run_until(
      [&] { return next.node->state().apps().at("shop").under_way.has_value(); }, 5'000ms));
  world.run_for(200ms);  // it is ready, and says so
  world.cut_off({"c1"});
  world.promote("c1");
  ASSERT_TRUE(world.run_until([&] { return next.leads != nullptr; }, 20'000ms));
  go_on(world, "n0");
  ASSERT_TRUE(world.run_until([&] { return serving(world, "n0") == 2; }, 20'000ms));
  ASSERT_TRUE(await(world, push));
  expect_sound(world);
  ASSERT_NE(next.leads->state().outcome(push.id), nullptr);
  EXPECT_EQ(next.leads->state().outcome(push.id)->step, push_step::aborted);
  const auto aside = world.at("c0").log.aside();
  ASSERT_TRUE(aside);
  EXPECT_TRUE(std::any_of(aside->begin(), aside->end(), [&](const change& one) {
    const auto what = order::decode(one.ordered.bytes);
    return what && what->id == push.id;
  }));
  EXPECT_EQ(serving(world, "n0"), 1u) << "as everywhere";
}

}  // namespace
}  // namespace troupe::tests
