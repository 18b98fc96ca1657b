// SPDX-License-Identifier: Apache-2.0
#include "cluster/gate.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace troupe::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct a_gate {
  std::vector<int> cut;
  std::vector<std::string> log;
  std::string address = "192.0.2.1";
  gate::instant now{seconds(1'000)};
  gate tested;

  explicit a_gate(gate::options how = {}) : tested(with_hooks(std::move(how))) {}
  gate::options with_hooks(gate::options how) {
    if (how.descriptors == 0) how.descriptors = 1'000'000;
    how.spare_descriptors = 2;
    how.address_of = [this](int) { return address; };
    how.cut = [this](int descriptor) { cut.push_back(descriptor); };
    how.log = [this](log_level, std::string_view line) { log.emplace_back(line); };
    return how;
  }
};

TEST(gate, a_thousand_nodes_of_one_address_may_join_at_once) {
  a_gate g;
  for (int fd = 0; fd < 2'000; ++fd) g.tested.on_accepted(fd, g.now);
  for (int fd = 0; fd < 2'000; ++fd) g.tested.proven(fd, g.now);
  for (int fd = 2'000; fd < 4'000; ++fd) g.tested.on_accepted(fd, g.now);
  for (int fd = 2'000; fd < 4'000; ++fd) g.tested.proven(fd, g.now);
  for (int fd = 4'000; fd < 6'000; ++fd) g.tested.on_accepted(fd, g.now);
  EXPECT_TRUE(g.cut.empty());
  EXPECT_EQ(g.tested.open(), 6'000U);
}

TEST(gate, an_address_that_goes_on_while_it_is_cut_off_is_not_heard_for_a_second) {
  std::vector<std::vector<std::string>> unheard;
  gate::options how;
  how.hear_nothing_from = [&](const std::vector<std::string>& all) { unheard.push_back(all); };
  a_gate g(std::move(how));
  g.address = "192.0.2.2";
  g.tested.on_accepted(9, g.now);
  g.tested.proven(9, g.now);
  g.address = "192.0.2.1";
  for (int round = 0; round < 400; ++round) {
    g.tested.on_accepted(7, g.now);
    g.tested.on_closed(7, g.now);
  }
  EXPECT_TRUE(unheard.empty());
  while (unheard.empty() && g.cut.size() < 100) g.tested.on_accepted(7, g.now);
  ASSERT_EQ(unheard.size(), 1U);
  EXPECT_EQ(unheard[0], std::vector<std::string>{"192.0.2.1"});
  EXPECT_LE(g.cut.size(), 10U);
  // What was on its way still changes nothing.
  g.tested.on_accepted(7, g.now);
  EXPECT_EQ(unheard.size(), 1U);
  EXPECT_EQ(g.tested.next_tick(), g.now + seconds(1));
  g.tested.tick(g.now + milliseconds(999));
  EXPECT_EQ(unheard.size(), 1U);
  g.tested.tick(g.now + seconds(1));
  ASSERT_EQ(unheard.size(), 2U);
  EXPECT_TRUE(unheard[1].empty());
  EXPECT_EQ(g.tested.next_tick(), gate::instant::max());
}

TEST(gate, an_address_whose_connections_prove_nothing_is_cut_off_and_others_are_not) {
  a_gate g;
  int let_in = 0;
  for (int round = 0; round < 2'000; ++round) {
    const std::size_t cut_before = g.cut.size();
    g.tested.on_accepted(7, g.now);
    if (g.cut.size() == cut_before) ++let_in;
    g.tested.on_closed(7, g.now);
  }
  EXPECT_EQ(let_in, 400) << "a tenth of the burst";
  g.address = "192.0.2.2";
  const std::size_t cut_before = g.cut.size();
  g.tested.on_accepted(8, g.now);
  EXPECT_EQ(g.cut.size(), cut_before);
}

TEST(gate, an_address_that_was_cut_off_comes_back_with_time) {
  a_gate g;
  for (int round = 0; round < 2'000; ++round) {
    g.tested.on_accepted(7, g.now);
    g.tested.on_closed(7, g.now);
  }
  g.cut.clear();
  g.tested.on_accepted(7, g.now);
  EXPECT_EQ(g.cut.size(), 1U);
  g.now += seconds(5);
  g.tested.on_accepted(8, g.now);
  EXPECT_EQ(g.cut.size(), 1U);
}

TEST(gate, connections_that_prove_nothing_and_stay_are_limited) {
  a_gate g({.unproven_per_address = 10});
  for (int fd = 0; fd < 30; ++fd) g.tested.on_accepted(fd, g.now);
  EXPECT_EQ(g.cut.size(), 20U);
  EXPECT_EQ(g.tested.unproven(), 10U);
  for (int fd = 0; fd < 10; ++fd) g.tested.proven(fd, g.now);
  EXPECT_EQ(g.tested.unproven(), 0U);
}

TEST(gate, above_nine_tenths_of_the_descriptors_nobody_new_is_taken) {
  a_gate g({.descriptors = 100});
  g.tested.on_accepted(89, g.now);
  EXPECT_TRUE(g.cut.empty());
  g.tested.on_accepted(90, g.now);
  EXPECT_EQ(g.cut, std::vector<int>{90});
}

TEST(gate, with_no_descriptor_left_the_spare_ones_let_the_waiting_be_taken_and_cut) {
  a_gate g;
  g.tested.on_accept_failed(g.now);
  g.tested.on_accepted(12, g.now);
  EXPECT_EQ(g.cut, std::vector<int>{12});
  ASSERT_LT(g.tested.next_tick(), gate::instant::max());
  g.now = g.tested.next_tick();
  g.tested.tick(g.now);
  g.tested.on_accepted(13, g.now);
  EXPECT_EQ(g.cut.size(), 1U) << "there is room again";
}

TEST(gate, many_addresses_are_not_remembered_for_ever) {
  a_gate g;
  for (int n = 0; n < 60'000; ++n) {
    g.address = std::to_string(n);
    g.tested.on_accepted(7, g.now);
    g.tested.on_closed(7, g.now);
    g.now += milliseconds(1);
  }
  EXPECT_LE(g.tested.addresses(), 16'384U);
}

TEST(gate, knocking_fills_no_log) {
  a_gate g({.descriptors = 10});
  for (int n = 0; n < 10'000; ++n) g.tested.on_accepted(9, g.now);
  EXPECT_EQ(g.cut.size(), 10'000U);
  EXPECT_EQ(g.log.size(), 5U);
}

TEST(gate, a_descriptor_that_is_used_again_is_another_connection) {
  a_gate g({.unproven_per_address = 2});
  g.tested.on_accepted(7, g.now);
  g.tested.on_accepted(7, g.now);
  g.tested.on_accepted(7, g.now);
  EXPECT_TRUE(g.cut.empty());
  EXPECT_EQ(g.tested.unproven(), 1U);
}

}  // namespace
}  // namespace troupe::cluster
