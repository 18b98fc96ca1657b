// SPDX-License-Identifier: Apache-2.0
#include "runtime/spare_machines.hpp"

#include <pthread.h>

#include <algorithm>

#include "net/thread_priority.hpp"

namespace troupe {
namespace {

constexpr std::size_t most_spare = 4;

}  // namespace

spare_machines::~spare_machines() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  if (worker_.joinable()) worker_.join();
}

std::unique_ptr<lua::vm> spare_machines::take() {
  const std::lock_guard lock(mutex_);
  if (spare_.empty()) return nullptr;
  auto machine = std::move(spare_.back());
  spare_.pop_back();
  return machine;
}

void spare_machines::refill(unsigned shards) {
  const std::lock_guard lock(mutex_);
  if (is_working_ || is_ending_) return;
  if (worker_.joinable()) worker_.join();  // It has nothing more to do.
  is_working_ = true;
  worker_ = std::thread([this, wanted = std::min<std::size_t>(shards, most_spare)] { work(wanted); });
}

void spare_machines::work(std::size_t wanted) {
  pthread_setname_np(pthread_self(), "spare");
  net::lower_thread_priority(19);
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (is_ending_ || spare_.size() >= wanted) {
        is_working_ = false;
        return;
      }
    }
    auto machine = lua::vm::prepare();
    const std::lock_guard lock(mutex_);
    if (!machine) {
      is_working_ = false;
      return;
    }
    spare_.push_back(std::move(*machine));
  }
}

}  // namespace troupe
