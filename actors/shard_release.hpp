// SPDX-License-Identifier: Apache-2.0
//
// A release as it lives on one shard: its VM and its stages. Exchanges hold it; when the last one,
// the last timer and the shard itself let go, the VM is closed.
//
// Thread   made by the loader's thread, attached and used by the shard's alone, dropped there.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "actors/chain.hpp"
#include "actors/site.hpp"
#include "lua/timer_set.hpp"
#include "lua/vm.hpp"

namespace troupe::actors {

class shard_release final : public std::enable_shared_from_this<shard_release>,
                            private lua::timer_runner {
public:
  static std::shared_ptr<shard_release> make(std::shared_ptr<const site> site,
                                             std::unique_ptr<lua::vm> machine);

  /// Makes the stages' actors. Thread: shard, once.
  void attach(shard& home);
  /// It is no longer the current one: its timers run prematurely, and when its last exchange and
  /// timer have ended, exit_worker_by_lua runs. Thread: shard.
  void retire();
  /// Runs exit_worker_by_lua, once; `then` at its end. Thread: shard.
  void run_exit_worker(std::function<void()> then);

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

  shard* home_ = nullptr;
  bool was_current_ = false;
  bool has_exited_ = false;
  std::shared_ptr<const site> site_;
  std::unique_ptr<lua::vm> machine_;
  std::vector<chain> chains_;
  std::vector<chain> log_chains_;
};

}  // namespace troupe::actors
