// SPDX-License-Identifier: Apache-2.0
//
// The event loop of a thread: edge-triggered epoll, timers, tasks from other threads. In a steady
// state its only system call is epoll_wait and it allocates nothing.
//
// Source   epoll(7), eventfd(2).
// Thread   run() and all else: its own thread; post(), stop(): any.
// Errors   none to report: descriptors are watched as they are; a failing epoll_ctl aborts the watch
//          and is returned.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>
#include <vector>

#include "net/cached_clock.hpp"
#include "net/timer_wheel.hpp"

namespace troupe::net {

/// Is told about its descriptor. It may be destroyed at any time after forget().
class io_handler {
public:
  virtual void on_io(std::uint32_t events) noexcept = 0;

protected:
  ~io_handler() = default;
};

class event_loop {
public:
  event_loop();
  ~event_loop();
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;

  static constexpr std::uint32_t readable = EPOLLIN | EPOLLRDHUP | EPOLLET;
  static constexpr std::uint32_t writable = EPOLLOUT;

  /// Edge-triggered: the handler reads or writes until EAGAIN or a short transfer.
  std::error_code watch(int fd, io_handler& handler, std::uint32_t events = readable) noexcept;
  std::error_code modify(int fd, io_handler& handler, std::uint32_t events) noexcept;
  /// No event reaches the handler from here on, not even one that epoll has given already. Call it
  /// before close().
  void forget(int fd, io_handler& handler) noexcept;

  /// Runs `task` on the loop's thread; after the end of run() it is destroyed unrun. Thread: any.
  void post(std::function<void()> task);

  /// Called after each descriptor's handler and before the loop sleeps; returns whether work is left.
  void set_idle_hook(std::function<bool()> hook) { idle_hook_ = std::move(hook); }

  void run();
  /// Ends run() after the handlers under way. Thread: any.
  void stop();
  /// One turn: waits at most `timeout_ms` (-1: as long as it takes).
  void turn(int timeout_ms);
  /// One turn of run(): the idle hook, then as long a wait as timers allow.
  void turn_once();

  [[nodiscard]] timer_wheel& timers() noexcept { return timers_; }
  [[nodiscard]] cached_clock& clock() noexcept { return clock_; }
  /// Room that a handler may read into while it runs.
  [[nodiscard]] std::span<char> scratch() noexcept { return {scratch_.get(), scratch_size}; }

  static constexpr std::size_t scratch_size = 65536;

private:
  void run_tasks();
  int timeout() noexcept;

  int epoll_ = -1;
  int wake_ = -1;
  cached_clock clock_;
  timer_wheel timers_;
  std::unique_ptr<char[]> scratch_;
  std::function<bool()> idle_hook_;
  std::vector<epoll_event> events_;
  std::size_t event_count_ = 0;
  std::size_t event_at_ = 0;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;  ///< Under mutex_.
  bool ended_ = false;                        ///< Under mutex_: run() has returned.
  std::vector<std::function<void()>> running_;
};

}  // namespace troupe::net
