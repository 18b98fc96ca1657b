// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace troupe::net {
namespace {
constexpr std::size_t batch = 256;
}

event_loop::event_loop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      timers_(clock_.monotonic_ms()),
      scratch_(new char[scratch_size]),
      events_(batch) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
}

event_loop::~event_loop() {
  ::close(wake_);
  ::close(epoll_);
}

std::error_code event_loop::watch(int fd, io_handler& handler, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) return {errno, std::generic_category()};
  return {};
}

std::error_code event_loop::modify(int fd, io_handler& handler, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0) return {errno, std::generic_category()};
  return {};
}

void event_loop::forget(int fd, io_handler& handler) noexcept {
  epoll_event unused{};
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &unused);
  // Events of this batch that were not delivered yet.
  for (std::size_t i = event_at_; i < event_count_; ++i) {
    if (events_[i].data.ptr == &handler) events_[i].events = 0;
  }
}

void event_loop::post(std::function<void()> task) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    first = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  if (first) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(wake_, &one, sizeof one);
  }
}

void event_loop::run_tasks() {
  {
    const std::lock_guard lock(mutex_);
    running_.swap(tasks_);
  }
  for (auto& task : running_) task();
  running_.clear();
}

int event_loop::timeout() noexcept {
  const std::int64_t next = timers_.next_expiry();
  if (next < 0) return -1;
  const std::int64_t wait = next - clock_.monotonic_ms();
  return static_cast<int>(std::clamp<std::int64_t>(wait, 0, 60'000));
}

void event_loop::turn(int timeout_ms) {
  const int count =
      ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), timeout_ms);
  clock_.update();
  timers_.set_clock(clock_.monotonic_ms());
  event_count_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  bool is_behind = false;  // Actors that feed each other: once in a turn is enough for them.
  for (event_at_ = 0; event_at_ < event_count_;) {
    const epoll_event event = events_[event_at_++];
    if (event.data.ptr == nullptr) {
      std::uint64_t ignored = 0;
      [[maybe_unused]] const auto n = ::read(wake_, &ignored, sizeof ignored);
      run_tasks();
    } else if (event.events != 0) {
      static_cast<io_handler*>(event.data.ptr)->on_io(event.events);
      // What this one caused runs now, while its memory is in the cache, and not stage by stage
      // through all that are ready.
      if (idle_hook_ && !is_behind && !stopped_.load(std::memory_order_relaxed)) {
        is_behind = idle_hook_();
      }
    }
  }
  event_count_ = event_at_ = 0;
  timers_.advance(clock_.monotonic_ms());
}

void event_loop::turn_once() {
  const bool more = idle_hook_ && idle_hook_();
  if (stopped_.load(std::memory_order_acquire)) return;
  turn(more ? 0 : timeout());
}

void event_loop::run() {
  clock_.update();
  timers_.set_clock(clock_.monotonic_ms());
  run_tasks();  // Posted before the thread started.
  while (!stopped_.load(std::memory_order_acquire)) turn_once();
  // Nobody runs what is left; who waits for a task learns it by the task's destruction.
  std::vector<std::function<void()>> left;
  const std::lock_guard lock(mutex_);
  ended_ = true;
  left.swap(tasks_);
}

void event_loop::stop() {
  stopped_.store(true, std::memory_order_release);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = ::write(wake_, &one, sizeof one);
}

}  // namespace troupe::net
