// SPDX-License-Identifier: Apache-2.0
//
// An actor that runs Lua. When a coroutine has to wait, the API function registers the wait and
// yields; the actor goes back to its mail. The completion (a timer, a socket, another actor) is a
// letter with the token of the wait, which resumes the coroutine. A completion whose coroutine has gone
// finds no token and is dropped.
//
// Thread   shard.
// Called   derive: connection, h2_stream, subrequest, timer_actor, worker_actor, lua_actor.
#pragma once

#include "actors/shard_actor.hpp"
#include "lua/script.hpp"

namespace troupe::actors {

class script_actor : public shard_actor, public lua::script_host {
public:
  script_actor(caf::actor_config& config, shard& home) : shard_actor(config, home) {}

  void wake(lua::wait_token token) noexcept override {
    home().letters().wake(*this, static_cast<std::uint64_t>(token));
  }
  [[nodiscard]] net::event_loop& loop() noexcept override { return home().loop(); }
  [[nodiscard]] net::client_services& services() noexcept override { return home().services(); }

  [[nodiscard]] lua::post_office* mail() noexcept override { return &home().mail(); }

  // --- Letters ------------------------------------------------------------------------------------
  /// The first one: begin your work.
  virtual void on_begin() {}
  /// The wait with this token is over.
  void woken(lua::wait_token token) {
    if (auto* resumed = deliver(token)) on_progress(*resumed);
  }

protected:
  /// A script of this actor was resumed; script.state() says how far it got.
  virtual void on_progress(lua::script& resumed) = 0;
};

}  // namespace troupe::actors
