// SPDX-License-Identifier: Apache-2.0
//
// The actor of a timer's callback, from the moment that it is due until its last light thread has
// ended.
//
// Source   "ngx.timer.at" of ngx_lua's README.
// Thread   shard.
// Called   made by actors/shard_release, which lua/timer_set tells.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "actors/resident.hpp"
#include "actors/script_actor.hpp"
#include "actors/shard_release.hpp"
#include "lua/timer_set.hpp"

namespace troupe::actors {

class timer_actor final : public script_actor, private resident {
public:
  timer_actor(caf::actor_config& config, shard& home);

  /// Makes the actor, or takes one that rests; it begins with its first letter.
  static void start(shard& home, std::shared_ptr<shard_release> release, lua::due_timer timer);

  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "troupe.timer"; }

  void on_begin() override;

protected:
  void on_progress(lua::script& resumed) override;

private:
  /// A line says whose timer it is: ", context: ngx.timer, client: …".
  class timer_log final : public net::log_context {
  public:
    explicit timer_log(timer_actor& self) : self_(self) {}
    [[nodiscard]] bool enabled(net::log_level level) const noexcept override;
    void write(net::log_level level, std::string_view text) const noexcept override;

  private:
    timer_actor& self_;
  };

  void end_now() noexcept override { end(); }
  void end_with(const shard_release& release, std::int64_t drain_ms) noexcept override {
    if (drain_ms < 0 && release_.get() == &release) end();
  }
  void end() noexcept;
  void rest() noexcept;

  caf::strong_actor_ptr self_;  ///< Keeps this alive until the callback has ended.
  std::shared_ptr<shard_release> release_;
  lua::due_timer timer_;
  timer_log log_;
  std::uint64_t number_ = 0;
  bool was_told_ = false;  ///< The letter that begins the present work has come.
  std::optional<lua::script> script_;
};

}  // namespace troupe::actors
