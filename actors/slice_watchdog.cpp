// SPDX-License-Identifier: Apache-2.0
#include "actors/slice_watchdog.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "actors/shard.hpp"
#include "lua/slice.hpp"

namespace troupe::actors {

slice_watchdog::slice_watchdog() : thread_([this] { run(); }) {}

void slice_watchdog::watch(std::vector<shard*> shards, std::int64_t most_ms) {
  const std::lock_guard lock(mutex_);
  shards_ = std::move(shards);
  most_ms_ = most_ms;
  if (most_ms > 0 && !has_handler_) {
    struct sigaction action {};
    action.sa_handler = [](int) { lua::interrupt_slice(); };
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGURG, &action, nullptr);
    has_handler_ = true;
  }
  changed_.notify_all();
}

void slice_watchdog::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void slice_watchdog::run() {
  pthread_setname_np(pthread_self(), "slice-watchdog");
  using clock = std::chrono::steady_clock;
  struct seen {
    std::uint64_t serial = 0;
    clock::time_point since;
  };
  std::vector<seen> last;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    last.resize(shards_.size());
    const auto now = clock::now();
    const std::chrono::milliseconds most(most_ms_);
    for (std::size_t i = 0; i < shards_.size() && most_ms_ > 0; ++i) {
      lua::slice& slice = shards_[i]->slice();
      const std::uint64_t serial = slice.serial.load(std::memory_order_acquire);
      if (serial != last[i].serial || serial % 2 == 0) {
        last[i] = {serial, now};
      } else if (now - last[i].since >= most) {
        last[i].since = now;  // Once in each such time, as a script may catch the error.
        slice.overdue.store(serial, std::memory_order_release);
        shards_[i]->signal(SIGURG);
      }
    }
    if (most_ms_ > 0) {
      changed_.wait_for(lock, std::chrono::milliseconds(std::clamp<std::int64_t>(most_ms_ / 4, 1, 250)));
    } else {
      changed_.wait(lock);
    }
  }
}

}  // namespace troupe::actors
