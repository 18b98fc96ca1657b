// SPDX-License-Identifier: Apache-2.0
#include "actors/shard.hpp"

#include <pthread.h>
#include <signal.h>

#include <atomic>

#include "actors/exchange_box.hpp"
#include "actors/resident.hpp"
#include "actors/shard_release.hpp"

namespace troupe::actors {
namespace {
// An actor may handle this many messages before its neighbours get their turn.
constexpr std::size_t throughput = 64;
}  // namespace

shard::shard(caf::actor_system& system, unsigned index, unsigned count, lua::vm_closer* closer)
    : caf::execution_unit(&system),
      closer_(closer),
      mail_(loop_, index),
      exchanges_(std::make_unique<exchange_pool>(loop_.clock())),
      index_(index),
      count_(count) {
  mail_.connect({&mail_});
  thread_id_ = std::this_thread::get_id();
  loop_.set_idle_hook([this] { return drain(); });
}

shard::~shard() {
  // Actors that still have mail hold a reference for the queue.
  for (caf::resumable* actor : queue_) caf::intrusive_ptr_release(actor);
}

void shard::exec_later(caf::resumable* actor) {
  if (is_here()) {
    queue_.push_back(actor);
    return;
  }
  loop_.post([this, actor] { queue_.push_back(actor); });
}

bool shard::drain() {
  // New mail that handlers cause is run in the same call, so that a request passes all its stages
  // before the loop looks at sockets again; bounded by what arrives, not by time.
  int rounds = 0;
  while (rounds++ < 64) {
    letters_.deliver();
    if (queue_.empty()) {
      if (letters_.empty()) return false;
      continue;
    }
    batch_.swap(queue_);
    for (caf::resumable* actor : batch_) {
      switch (actor->resume(this, throughput)) {
        case caf::resumable::resume_later: queue_.push_back(actor); break;
        case caf::resumable::done:
        case caf::resumable::awaiting_message:
        case caf::resumable::shutdown_execution_unit: caf::intrusive_ptr_release(actor); break;
      }
    }
    batch_.clear();
  }
  return true;
}

void shard::start() {
  thread_ = std::thread([this] {
    thread_id_ = std::this_thread::get_id();
    pthread_setname_np(pthread_self(), ("shard-" + std::to_string(index_)).c_str());
    {
      const std::lock_guard lock(signal_mutex_);
      runs_ = true;
    }
    loop_.run();
    const std::lock_guard lock(signal_mutex_);
    runs_ = false;
  });
}

void shard::signal(int number) noexcept {
  const std::lock_guard lock(signal_mutex_);
  if (runs_) pthread_kill(thread_.native_handle(), number);
}

void shard::stop() { loop_.stop(); }

void shard::join() {
  if (thread_.joinable()) thread_.join();
  // What is destroyed after the thread ended runs on whoever destroys the shard.
  thread_id_ = std::this_thread::get_id();
}

void shard::add(resident& one) noexcept {
  one.next_ = residents_;
  one.previous_ = nullptr;
  if (residents_ != nullptr) residents_->previous_ = &one;
  residents_ = &one;
}

void shard::remove(resident& one) noexcept {
  (one.previous_ != nullptr ? one.previous_->next_ : residents_) = one.next_;
  if (one.next_ != nullptr) one.next_->previous_ = one.previous_;
  if (residents_ == nullptr && when_empty_) loop_.post(std::exchange(when_empty_, nullptr));
}

void shard::end_residents(bool gracefully, std::function<void()> then) {
  // What ends the last one may bring new ones along: a timer that a timer made.
  auto look_again = [this, gracefully, then = std::move(then)] {
    if (residents_ == nullptr) then();
    else end_residents(gracefully, then);
  };
  if (residents_ == nullptr) {
    loop_.post(std::move(look_again));
    return;
  }
  when_empty_ = std::move(look_again);
  if (!gracefully) {
    hurry();
    return;
  }
  for (resident* one = residents_; one != nullptr; one = one->next_) one->end_gracefully();
}

void shard::hurry() {
  for (resident* one = residents_; one != nullptr;) {
    resident* const next = one->next_;
    one->end_now();
    one = next;
  }
}

void shard::end_of(const shard_release& release, std::int64_t drain_ms) {
  for (resident* one = residents_; one != nullptr;) {
    resident* const next = one->next_;
    one->end_with(release, drain_ms);
    one = next;
  }
}

std::shared_ptr<shard_release> shard::use(std::shared_ptr<shard_release> release) {
  if (release) release->has_served();
  auto before = std::exchange(current_, std::move(release));
  if (before) before->retire();
  if (before && current_ && before != current_) {
    for (resident* one = residents_; one != nullptr;) {
      resident* const next = one->next_;
      one->change_release(*before);
      one = next;
    }
  }
  return before;
}

}  // namespace troupe::actors
