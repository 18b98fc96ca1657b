// SPDX-License-Identifier: Apache-2.0
//
// Runs init_worker_by_lua and exit_worker_by_lua of a release on a shard; both may wait.
//
// Source   the directives of these names in ngx_lua's README.
// Thread   shard.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "actors/resident.hpp"
#include "actors/script_actor.hpp"
#include "actors/shard_release.hpp"
#include "net/timer_wheel.hpp"

namespace troupe::actors {

class worker_actor final : public script_actor, private resident {
public:
  /// Told on the shard's thread when the chunk has ended: empty, or the error.
  using done = std::function<void(std::string error)>;

  worker_actor(caf::actor_config& config, shard& home, std::shared_ptr<shard_release> release,
               lua::phase where, done on_done);

  /// Makes the actor and runs the chunk. Thread: shard.
  /// @param most_ms  how long it may wait in all, 0: any time. Who waits longer is given up.
  static void run(shard& home, std::shared_ptr<shard_release> release, int chunk, lua::phase where,
                  std::int64_t most_ms, done on_done);

  caf::behavior make_behavior() override;
  const char* name() const override { return "troupe.worker"; }

protected:
  void on_progress(lua::script& resumed) override;

private:
  struct limit final : net::timer {
    worker_actor* self = nullptr;
    std::int64_t ms = 0;
    void on_timer() noexcept override;
  };
  /// Says in whose context a line was written.
  class worker_log final : public net::log_context {
  public:
    worker_log(const net::log_context& below, lua::phase where) : below_(below), where_(where) {}
    [[nodiscard]] bool enabled(net::log_level level) const noexcept override {
      return below_.enabled(level);
    }
    void write(net::log_level level, std::string_view text) const noexcept override;

  private:
    const net::log_context& below_;
    lua::phase where_;
  };

  void end_now() noexcept override { end("stopped"); }
  void end(std::string error) noexcept;

  std::shared_ptr<shard_release> release_;
  std::optional<lua::script> script_;
  worker_log log_;
  lua::phase where_;
  done on_done_;
  limit limit_;
  caf::strong_actor_ptr self_;  ///< Keeps this alive until the chunk has ended.
};

}  // namespace troupe::actors
