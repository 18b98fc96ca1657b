// SPDX-License-Identifier: Apache-2.0
#include "cluster/zmq_loop.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include <pthread.h>

namespace troupe::cluster {
namespace {

TEST(zmq_loop, does_what_other_threads_ask_for_on_the_thread_called_cluster) {
  auto loop = zmq_loop::make();
  ASSERT_TRUE(loop);
  (*loop)->run();
  std::promise<std::string> name;
  (*loop)->post([&] {
    char text[16] = {};
    pthread_getname_np(pthread_self(), text, sizeof text);
    name.set_value(text);
  });
  EXPECT_EQ(name.get_future().get(), "cluster");
}

TEST(zmq_loop, everything_that_was_asked_for_is_done_before_it_stops) {
  auto loop = zmq_loop::make();
  ASSERT_TRUE(loop);
  std::atomic<int> done = 0;
  (*loop)->run();
  std::thread other([&] {
    for (int n = 0; n < 1'000; ++n) (*loop)->post([&] { ++done; });
  });
  other.join();
  (*loop)->stop();
  EXPECT_EQ(done, 1'000);
}

struct ticking final : loop_source {
  instant due = std::chrono::steady_clock::now();
  int left = 3;
  std::promise<void> over;
  void handles(std::vector<void*>&) const override {}
  void pump(instant now) override {
    if (left == 0 || now < due) return;
    due = now + std::chrono::milliseconds(1);
    if (--left == 0) over.set_value();
  }
  [[nodiscard]] instant next_tick() const override { return left == 0 ? instant::max() : due; }
};

TEST(zmq_loop, calls_a_source_when_its_time_has_come) {
  auto loop = zmq_loop::make();
  ASSERT_TRUE(loop);
  ticking source;
  (*loop)->add(source);
  (*loop)->run();
  source.over.get_future().get();
  (*loop)->stop();
}

}  // namespace
}  // namespace troupe::cluster
