// SPDX-License-Identifier: Apache-2.0
#include "net/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace troupe::net {
namespace {

struct callback_timer final : timer {
  std::function<void()> call = [] {};
  int fired = 0;
  void on_timer() noexcept override {
    ++fired;
    call();
  }
};

// Steps as an event loop does: to next_expiry(), never past `until`.
void run_until(timer_wheel& wheel, std::int64_t until) {
  for (;;) {
    const std::int64_t next = wheel.next_expiry();
    if (next < 0 || next > until) break;
    wheel.advance(next);
  }
  wheel.advance(until);
}

TEST(timer_wheel, a_timer_fires_at_its_time_and_once) {
  timer_wheel wheel(1000);
  callback_timer t;
  wheel.arm(t, 5);
  EXPECT_TRUE(t.is_armed());
  EXPECT_EQ(t.expiry(), 1005);
  wheel.advance(1004);
  EXPECT_EQ(t.fired, 0);
  wheel.advance(1005);
  EXPECT_EQ(t.fired, 1);
  EXPECT_FALSE(t.is_armed());
  wheel.advance(5000);
  EXPECT_EQ(t.fired, 1);
}

TEST(timer_wheel, a_wheel_without_timers_has_no_next_expiry) {
  timer_wheel wheel(0);
  EXPECT_EQ(wheel.next_expiry(), -1);
  callback_timer t;
  wheel.arm(t, 10);
  EXPECT_EQ(wheel.next_expiry(), 10);
  wheel.advance(10);
  EXPECT_EQ(wheel.next_expiry(), -1);
}

TEST(timer_wheel, a_time_that_is_past_fires_at_the_next_step) {
  timer_wheel wheel(1000);
  callback_timer past;
  callback_timer negative;
  wheel.arm_at(past, 3);
  wheel.arm(negative, -7);
  EXPECT_EQ(past.fired, 0);
  wheel.advance(1001);
  EXPECT_EQ(past.fired, 1);
  EXPECT_EQ(negative.fired, 1);
}

TEST(timer_wheel, arming_again_moves_a_timer) {
  timer_wheel wheel(0);
  callback_timer t;
  wheel.arm(t, 10);
  wheel.arm(t, 100'000);
  wheel.advance(50'000);
  EXPECT_EQ(t.fired, 0);
  wheel.arm(t, 1);
  wheel.advance(50'001);
  EXPECT_EQ(t.fired, 1);
  wheel.advance(200'000);
  EXPECT_EQ(t.fired, 1);
}

TEST(timer_wheel, cancelling_any_of_several_at_one_time_leaves_the_others) {
  for (int gone = 0; gone < 3; ++gone) {
    timer_wheel wheel(0);
    callback_timer timers[3];
    for (auto& t : timers) wheel.arm(t, 20);
    wheel.cancel(timers[gone]);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(timers[i].is_armed(), i != gone);
    wheel.advance(20);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(timers[i].fired, i == gone ? 0 : 1);
  }
}

TEST(timer_wheel, a_destroyed_timer_leaves_its_neighbours_armed) {
  timer_wheel wheel(0);
  callback_timer newer;
  {
    callback_timer older;
    wheel.arm(older, 20);
    wheel.arm(newer, 20);
  }
  EXPECT_TRUE(newer.is_armed());
  wheel.cancel(newer);
  wheel.advance(20);
  EXPECT_EQ(newer.fired, 0);
}

TEST(timer_wheel, timers_of_one_time_fire_in_the_order_they_were_armed) {
  // The last is armed when the others have come down a level or are about to.
  for (const std::int64_t time : {5L, 300L, 70'000L, 20'000'000L}) {
    timer_wheel wheel(0);
    std::vector<int> order;
    callback_timer timers[4];
    for (int i = 0; i < 4; ++i) timers[i].call = [&order, i] { order.push_back(i); };
    wheel.arm_at(timers[0], time);
    wheel.arm_at(timers[1], time);
    run_until(wheel, time - time / 6 - 1);
    wheel.arm_at(timers[2], time);
    run_until(wheel, time - 1);
    wheel.arm_at(timers[3], time);
    run_until(wheel, time);
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3})) << time;
  }
}

TEST(timer_wheel, long_times_come_down_the_levels_and_are_exact) {
  for (const std::int64_t start : {0L, 1L, 255L, 256L, 65'535L, 1'700'000'000'123L}) {
    for (int bits = 1; bits <= 41; ++bits) {
      for (const std::int64_t off : {-1L, 0L, 1L}) {
        timer_wheel wheel(start);
        callback_timer t;
        const std::int64_t expiry = start + (std::int64_t{1} << bits) + off;
        wheel.arm_at(t, expiry);
        // Thirty-four years in steps of the lowest wheel are too many here: only near ones.
        if (bits <= 24) {
          run_until(wheel, expiry - 1);
          ASSERT_EQ(t.fired, 0) << start << " " << bits << " " << off;
          run_until(wheel, expiry);
          ASSERT_EQ(t.fired, 1) << start << " " << bits << " " << off;
        } else {
          const std::int64_t next = wheel.next_expiry();
          ASSERT_GT(next, start);
          ASSERT_LE(next, expiry) << start << " " << bits << " " << off;
        }
      }
    }
  }
}

TEST(timer_wheel, the_next_expiry_is_not_later_than_a_timer_of_a_higher_level) {
  // Armed far ahead, so that it lies in a high level, beside one that was armed late, in a low one,
  // and expires after it.
  timer_wheel wheel(0);
  callback_timer first;
  callback_timer second;
  wheel.arm_at(first, 0x20005);
  wheel.advance(0x1ff00);
  wheel.arm_at(second, 0x2f000);
  EXPECT_LE(wheel.next_expiry(), 0x20005);
  run_until(wheel, 0x20005);
  EXPECT_EQ(first.fired, 1);
  EXPECT_EQ(second.fired, 0);
}

TEST(timer_wheel, a_handler_may_arm_itself_again) {
  timer_wheel wheel(0);
  callback_timer t;
  std::vector<std::int64_t> times;
  t.call = [&] {
    times.push_back(t.expiry());
    if (times.size() < 4) wheel.arm_at(t, t.expiry() + 256);
  };
  wheel.arm(t, 256);
  wheel.advance(10'000);
  EXPECT_EQ(times, (std::vector<std::int64_t>{256, 512, 768, 1024}));
}

TEST(timer_wheel, a_handler_that_arms_itself_at_once_does_not_hold_the_wheel) {
  timer_wheel wheel(0);
  callback_timer t;
  t.call = [&] { wheel.arm(t, 0); };
  wheel.arm(t, 1);
  wheel.advance(10);
  EXPECT_LE(t.fired, 10);
  EXPECT_TRUE(t.is_armed());
  EXPECT_EQ(wheel.next_expiry(), 11);
}

TEST(timer_wheel, a_handler_may_cancel_and_destroy_its_neighbours) {
  timer_wheel wheel(0);
  callback_timer first;
  callback_timer cancelled;
  auto destroyed = std::make_unique<callback_timer>();
  callback_timer last;
  first.call = [&] {
    wheel.cancel(cancelled);
    destroyed.reset();
  };
  wheel.arm(first, 3);
  wheel.arm(cancelled, 3);
  wheel.arm(*destroyed, 3);
  wheel.arm(last, 3);
  wheel.advance(3);
  EXPECT_EQ(cancelled.fired, 0);
  EXPECT_EQ(last.fired, 1);
}

TEST(timer_wheel, a_handler_may_destroy_its_own_timer) {
  timer_wheel wheel(0);
  auto t = std::make_unique<callback_timer>();
  bool fired = false;
  t->call = [&] {
    fired = true;
    auto call = std::move(t->call);  // Lives until this returns.
    t.reset();
  };
  wheel.arm(*t, 3);
  wheel.advance(3);
  EXPECT_TRUE(fired);
  EXPECT_EQ(wheel.next_expiry(), -1);
}

TEST(timer_wheel, timers_outlive_their_wheel) {
  callback_timer a;
  callback_timer b;
  {
    timer_wheel wheel(0);
    wheel.arm(a, 10);
    wheel.arm(b, 1'000'000);
  }
  EXPECT_FALSE(a.is_armed());
  EXPECT_FALSE(b.is_armed());
  EXPECT_EQ(a.fired, 0);
}

TEST(timer_wheel, a_clock_that_goes_back_fires_nothing) {
  timer_wheel wheel(1000);
  callback_timer t;
  wheel.arm(t, 10);
  wheel.advance(500);
  EXPECT_EQ(t.fired, 0);
  wheel.advance(1010);
  EXPECT_EQ(t.fired, 1);
}

// Random operations beside a list of (expiry, timer): fires exactly what is due, in order of time,
// and never sleeps past a timer.
TEST(timer_wheel, behaves_as_a_sorted_list_does) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    std::int64_t now = static_cast<std::int64_t>(random() % 10'000'000);
    timer_wheel wheel(now);
    struct entry {
      std::unique_ptr<callback_timer> t;
      std::int64_t expiry = -1;
    };
    std::vector<entry> entries(60);
    std::int64_t last_fired = 0;
    auto make = [&](std::size_t i) {
      entries[i].t = std::make_unique<callback_timer>();
      entries[i].expiry = -1;
      entries[i].t->call = [&, i] {
        ASSERT_EQ(entries[i].t->expiry(), entries[i].expiry) << seed;
        ASSERT_LE(entries[i].expiry, now) << "early, seed " << seed;
        ASSERT_GE(entries[i].expiry, last_fired) << "out of order, seed " << seed;
        last_fired = entries[i].expiry;
        entries[i].expiry = -1;
      };
    };
    for (std::size_t i = 0; i < entries.size(); ++i) make(i);
    for (int step = 0; step < 4000; ++step) {
      const std::size_t i = random() % entries.size();
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          const std::int64_t ms = static_cast<std::int64_t>(random() % (1ULL << (random() % 24)));
          wheel.arm_at(*entries[i].t, now + ms);
          entries[i].expiry = entries[i].t->expiry();
          ASSERT_EQ(entries[i].expiry, ms == 0 ? now + 1 : now + ms);
          break;
        }
        case 3:
          wheel.cancel(*entries[i].t);
          entries[i].expiry = -1;
          break;
        case 4:
          make(i);
          break;
        default: {
          std::int64_t first = -1;
          for (const entry& e : entries) {
            ASSERT_EQ(e.t->is_armed(), e.expiry >= 0) << seed << " " << step;
            if (e.expiry >= 0 && (first < 0 || e.expiry < first)) first = e.expiry;
          }
          const std::int64_t next = wheel.next_expiry();
          if (first >= 0) {
            ASSERT_GT(next, now) << seed << " " << step;
            ASSERT_LE(next, first) << seed << " " << step;
          }
          const bool jump = random() % 3 == 0 || next < 0;
          now = jump ? now + static_cast<std::int64_t>(random() % (1ULL << (random() % 20))) : next;
          last_fired = 0;
          wheel.advance(now);
          for (const entry& e : entries) {
            ASSERT_TRUE(e.expiry < 0 || e.expiry > now) << "late, seed " << seed << " " << step;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace troupe::net
