// SPDX-License-Identifier: Apache-2.0
#include "runtime/pruner.hpp"

#include <utility>

#include "net/thread_priority.hpp"
#include "runtime/process.hpp"

namespace troupe {

pruner::pruner(std::function<void(const std::stop_token&)> round) : round_(std::move(round)) {}

pruner::~pruner() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    if (under_way_) under_way_->request_stop();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void pruner::wish() {
  {
    const std::lock_guard lock(mutex_);
    is_wished_ = true;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  changed_.notify_all();
}

void pruner::rest() {
  std::unique_lock lock(mutex_);
  is_wished_ = false;
  if (under_way_) under_way_->request_stop();
  changed_.wait(lock, [this] { return !under_way_; });
}

void pruner::run() {
  name_thread("prune");
  net::lower_thread_priority(10);  // No lower than an apply, which waits for its locks.
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_wished_ || is_over_; });
    if (is_over_) return;
    is_wished_ = false;
    const std::stop_token stop = under_way_.emplace().get_token();
    lock.unlock();
    round_(stop);
    lock.lock();
    under_way_.reset();
    changed_.notify_all();
  }
}

}  // namespace troupe
