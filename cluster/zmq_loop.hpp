// SPDX-License-Identifier: Apache-2.0
//
// The one thread that a node's ZeroMQ sockets live on, and what wakes it: messages, work from other
// threads, and the time that somebody asked for.
//
// Source   zmq_poll(3).
// Thread   made and destroyed by one; post() and stop() may be called from any. All else happens on
//          the thread, which is called `cluster`.
// Errors   make(): no descriptor for the wake-up, no thread.
// Called   by cluster/agent.
#pragma once

#include "cluster/file_descriptor.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace troupe::cluster {

/// Something that is to be called when its sockets have something, or its time has come.
class loop_source {
 public:
  using instant = std::chrono::steady_clock::time_point;
  virtual ~loop_source() = default;
  virtual void handles(std::vector<void*>& to) const = 0;
  /// Before pump(), for each of its handles that has something: to look at a ZeroMQ socket that has
  /// nothing takes two system calls.
  virtual void on_ready(void* handle) { static_cast<void>(handle); }
  /// Once in each turn, whatever woke it. It must not wait.
  virtual void pump(instant now) = 0;
  [[nodiscard]] virtual instant next_tick() const = 0;
};

class zmq_loop {
 public:
  using task = std::function<void()>;
  [[nodiscard]] static tl::expected<std::unique_ptr<zmq_loop>, refusal> make();
  /// Stops it.
  ~zmq_loop();

  /// Before run(), or on the thread.
  void add(loop_source& source) { sources_.push_back(&source); }
  void remove(loop_source& source);
  void remove_all() { sources_.clear(); }

  void run();   ///< Begins the thread.
  void stop();  ///< Tasks that are not done by then are done with the last turn.
  void post(task what);
  void wake();

 private:
  explicit zmq_loop(file_descriptor wake) : wake_(std::move(wake)) {}
  void turns();
  void do_tasks();

  file_descriptor wake_;
  std::vector<loop_source*> sources_;
  std::mutex mutex_;
  std::vector<task> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace troupe::cluster
