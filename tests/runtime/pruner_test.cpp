// SPDX-License-Identifier: Apache-2.0
#include "runtime/pruner.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

namespace troupe {
namespace {

TEST(pruner, does_nothing_unless_it_is_wished) {
  std::atomic<int> rounds = 0;
  {
    pruner idle([&](const std::stop_token&) { ++rounds; });
    idle.rest();
  }
  EXPECT_EQ(rounds, 0);
}

TEST(pruner, who_wishes_does_not_wait_and_wishes_during_a_round_make_one_more) {
  std::counting_semaphore<> begun(0);
  std::counting_semaphore<> go_on(0);
  std::atomic<int> rounds = 0;
  pruner made([&](const std::stop_token&) {
    ++rounds;
    begun.release();
    go_on.acquire();
  });
  made.wish();
  begun.acquire();
  made.wish();
  made.wish();
  go_on.release(2);
  begun.acquire();
  made.rest();
  EXPECT_EQ(rounds, 2);
}

TEST(pruner, rest_ends_the_round_that_is_under_way) {
  std::binary_semaphore begun(0);
  std::atomic<bool> has_ended = false;
  pruner made([&](const std::stop_token& stop) {
    begun.release();
    while (!stop.stop_requested()) std::this_thread::yield();
    has_ended = true;
  });
  made.wish();
  begun.acquire();
  made.rest();
  EXPECT_TRUE(has_ended);
  has_ended = false;
  made.wish();  // It goes on after a rest.
  begun.acquire();
  made.rest();
  EXPECT_TRUE(has_ended);
}

TEST(pruner, its_end_ends_the_round) {
  std::binary_semaphore begun(0);
  std::atomic<bool> has_ended = false;
  {
    pruner made([&](const std::stop_token& stop) {
      begun.release();
      while (!stop.stop_requested()) std::this_thread::yield();
      has_ended = true;
    });
    made.wish();
    begun.acquire();
  }
  EXPECT_TRUE(has_ended);
}

}  // namespace
}  // namespace troupe
