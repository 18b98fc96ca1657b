// SPDX-License-Identifier: Apache-2.0
//
// A release as it lives on one shard: its VM and its stages. Exchanges hold it; when the last one,
// the last timer and the shard itself let go, the VM is closed.
//
//   attach -> init_worker -> use (shard) -> retire -> … -> exit_worker, closed
//                              ^             | kept warm
//                              +-- resume <--+
//
// Thread   made by the loader's thread, attached and used by the shard's alone, dropped there.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "actors/chain.hpp"
#include "actors/site.hpp"
#include "lua/actor_runner.hpp"
#include "lua/timer_set.hpp"
#include "lua/vm.hpp"

namespace troupe::actors {

/// What a release has to do on a shard. Written there, read by anybody.
class release_load {
public:
  [[nodiscard]] std::uint64_t exchanges() const noexcept { return exchanges_.load(std::memory_order_relaxed); }
  /// Of these, those that no release ends (`on_release keep`).
  [[nodiscard]] std::uint64_t kept() const noexcept { return kept_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t lua_bytes() const noexcept { return lua_bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }

private:
  friend class shard_release;
  // One writer: no locked instruction.
  static void add(std::atomic<std::uint64_t>& to, std::int64_t by) noexcept {
    to.store(to.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(by),
             std::memory_order_relaxed);
  }
  std::atomic<std::uint64_t> exchanges_{0};
  std::atomic<std::uint64_t> kept_{0};
  std::atomic<std::uint64_t> lua_bytes_{0};
  std::atomic<bool> closed_{false};
};

class shard_release final : public std::enable_shared_from_this<shard_release>,
                            private lua::timer_runner,
                            private lua::actor_runner {
public:
  static std::shared_ptr<shard_release> make(std::shared_ptr<const site> site,
                                             std::unique_ptr<lua::vm> machine);

  /// Makes the stages' actors, at its first call. Thread: shard.
  void attach(shard& home);
  /// It is no longer the current one, or will not be: its timers run prematurely, and when its last
  /// exchange and timer have ended and nobody keeps it warm, exit_worker_by_lua runs. Thread: shard.
  void retire();
  /// What is under way in it should end soon: ngx.worker.exiting(). Thread: shard.
  void ask() noexcept { machine_->stand(lua::vm::standing::asked); }
  /// The shard stops. Thread: shard.
  void wind_up() noexcept { machine_->stand(lua::vm::standing::ending); }
  /// It shall serve again; init_worker_by_lua runs next. Thread: shard.
  void resume();
  /// It was the current one, so that there is something for exit_worker_by_lua to do.
  void has_served() noexcept { was_current_ = true; }
  /// Runs exit_worker_by_lua, once; `then` at its end. Thread: shard.
  void run_exit_worker(std::function<void()> then);

  [[nodiscard]] std::shared_ptr<const release_load> load() const noexcept { return load_; }
  // Of exchanges, subrequests apart.
  void exchange_began() noexcept { release_load::add(load_->exchanges_, 1); }
  void exchange_ended() noexcept;
  void exchange_kept(bool kept) noexcept { release_load::add(load_->kept_, kept ? 1 : -1); }

  [[nodiscard]] const site& configuration() const noexcept { return *site_; }
  [[nodiscard]] lua::vm& machine() noexcept { return *machine_; }

  [[nodiscard]] const chain& stages_of(const location& place) const noexcept {
    return chains_[static_cast<std::size_t>(place.id)];
  }
  [[nodiscard]] const chain& log_stages_of(const location& place) const noexcept {
    return log_chains_[static_cast<std::size_t>(place.id)];
  }
  /// For tests and embedders: the chain may be changed until traffic arrives.
  [[nodiscard]] chain& stages_of(int location_id) { return chains_[static_cast<std::size_t>(location_id)]; }

private:
  shard_release(std::shared_ptr<const site> site, std::unique_ptr<lua::vm> machine);
  ~shard_release();
  static void dispose(shard_release* last) noexcept;

  // lua::timer_runner
  [[nodiscard]] net::event_loop& loop() noexcept override { return home_->loop(); }
  void run(lua::due_timer timer) override;
  // lua::actor_runner
  lua::mail_address spawn(lua::actor_start what) override;

  void look() noexcept;

  shard* home_ = nullptr;
  std::uint32_t looks_ = 0;
  bool was_current_ = false;
  bool has_exited_ = false;
  std::shared_ptr<const site> site_;
  std::shared_ptr<release_load> load_ = std::make_shared<release_load>();
  std::unique_ptr<lua::vm> machine_;
  std::vector<chain> chains_;
  std::vector<chain> log_chains_;
};

}  // namespace troupe::actors
