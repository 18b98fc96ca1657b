// SPDX-License-Identifier: Apache-2.0
//
// A shard: one thread with its event loop and, as a CAF execution unit, the run queue of the actors
// that live on it. An actor of ours always runs on its home shard, the thread that owns its socket
// and its Lua VM, so nothing within a request takes a lock or changes threads.
//
// Source   caf/execution_unit.hpp of CAF 0.17.6.
// Thread   made and joined by runtime/node; everything else says `shard` or `any`.
// Called   by actors (exec_later through CAF), runtime/node.
#pragma once

#include <atomic>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "actors/idle_actors.hpp"
#include "actors/letters.hpp"
#include "lua/post_office.hpp"
#include "lua/slice.hpp"
#include "net/client_services.hpp"
#include "net/event_loop.hpp"

namespace troupe::lua {
class vm_closer;
}

namespace troupe::actors {

class exchange_pool;
class resident;
class shard_release;

class shard final : public caf::execution_unit {
public:
  /// @param closer  of VMs, outlives the shard; null: they are closed on its thread.
  shard(caf::actor_system& system, unsigned index, unsigned count, lua::vm_closer* closer = nullptr);
  ~shard() override;

  /// CAF's entry: queues an actor that has mail. Thread: any.
  void exec_later(caf::resumable* actor) override;

  /// Runs `task` on the shard's thread. Thread: any.
  void post(std::function<void()> task) { loop_.post(std::move(task)); }

  /// Sends a signal to its thread, if that runs. Thread: any.
  void signal(int number) noexcept;
  [[nodiscard]] lua::slice& slice() noexcept { return slice_; }

  /// Starts the thread; stop() ends it after the current handlers, join() waits for it.
  void start();
  void stop();
  void join();

  [[nodiscard]] unsigned index() const noexcept { return index_; }
  [[nodiscard]] net::event_loop& loop() noexcept { return loop_; }
  [[nodiscard]] lua::vm_closer* closer() const noexcept { return closer_; }
  [[nodiscard]] bool is_here() const noexcept { return std::this_thread::get_id() == thread_id_; }

  /// The release that new exchanges use. Thread: shard.
  [[nodiscard]] const std::shared_ptr<shard_release>& current() const noexcept { return current_; }
  /// @return the one before, retired.
  std::shared_ptr<shard_release> use(std::shared_ptr<shard_release> release);

  /// Pools and resolvers of what runs here. Thread: shard.
  [[nodiscard]] net::client_services& services() noexcept { return services_; }
  [[nodiscard]] lua::post_office& mail() noexcept { return mail_; }
  /// Mail between actors that live here. Thread: shard.
  [[nodiscard]] class letters& letters() noexcept { return letters_; }
  [[nodiscard]] exchange_pool& exchanges() noexcept { return *exchanges_; }
  [[nodiscard]] idle_actors& idle_subrequests() noexcept { return idle_subrequests_; }
  [[nodiscard]] idle_actors& idle_timers() noexcept { return idle_timers_; }

  /// A node-wide unique number for a new connection: nginx's *N.
  std::uint64_t next_connection_number() noexcept { return ++connections_made_ * count_ - (count_ - 1 - index_); }

  // --- What lives here. Thread: shard. -----------------------------------------------------------
  void add(resident& one) noexcept;
  void remove(resident& one) noexcept;
  /// Tells all that live here to end: at once, or when their work is done. `then` runs when the last
  /// one has left.
  void end_residents(bool gracefully, std::function<void()> then);
  /// How long a connection that is idle may still send a request once its shard winds up; 0, as it is
  /// at first: it is closed. Thread: shard.
  void idle_grace(std::int64_t ms) noexcept { idle_grace_ms_ = ms; }
  [[nodiscard]] std::int64_t idle_grace() const noexcept { return idle_grace_ms_; }
  /// Ends at once what end_residents() waits for.
  void hurry();
  /// Ends what belongs to a release that no longer serves: all that may be ended for that
  /// (`drain_ms` -1), or the exchanges of locations with `on_release drain` and this time.
  void end_of(const shard_release& release, std::int64_t drain_ms);
  /// Written by the shard, read by anybody.
  std::atomic<std::uint64_t> requests{0};     ///< Begun so far.
  std::atomic<std::uint64_t> errors{0};       ///< Of those that have ended, with a status from 500 on.
  std::atomic<std::uint64_t> connections{0};  ///< Open ones of clients.
  static void add(std::atomic<std::uint64_t>& to, std::int64_t by) noexcept {
    to.store(to.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(by),
             std::memory_order_relaxed);
  }

private:
  bool drain();

  lua::vm_closer* closer_;
  net::event_loop loop_;
  net::client_services services_{loop_};
  lua::post_office mail_;
  lua::slice slice_;
  std::vector<caf::resumable*> queue_;
  std::vector<caf::resumable*> batch_;
  std::unique_ptr<exchange_pool> exchanges_;
  class letters letters_;  ///< Before exchanges_ goes.
  idle_actors idle_subrequests_;
  idle_actors idle_timers_;
  std::shared_ptr<shard_release> current_;
  std::thread thread_;
  std::mutex signal_mutex_;
  bool runs_ = false;  ///< Under signal_mutex_.
  std::thread::id thread_id_;
  resident* residents_ = nullptr;
  std::function<void()> when_empty_;
  std::uint64_t connections_made_ = 0;
  std::int64_t idle_grace_ms_ = 0;
  unsigned index_;
  unsigned count_;
};

}  // namespace troupe::actors
