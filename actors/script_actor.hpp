// SPDX-License-Identifier: Apache-2.0
//
// An actor that runs Lua. When a coroutine has to wait, the API function registers the wait and
// yields; the actor goes back to its mailbox. The completion (a timer, a socket, another actor) is
// the message `wake_up` with the token of the wait; its handler resumes the coroutine. A completion
// whose coroutine has gone finds no token and is dropped.
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
    tell(wake_up{static_cast<std::uint64_t>(token)});
  }
  [[nodiscard]] net::event_loop& loop() noexcept override { return home().loop(); }
  [[nodiscard]] net::client_services& services() noexcept override { return home().services(); }

  [[nodiscard]] lua::post_office* mail() noexcept override { return &home().mail(); }

protected:
  /// A script of this actor was resumed; script.state() says how far it got.
  virtual void on_progress(lua::script& resumed) = 0;

  [[nodiscard]] bool is_hot(message_type type) const noexcept override {
    return type == &typeid(wake_up);
  }
  void receive(message_type, caf::type_erased_tuple& content) override {
    handle(content.get_as<wake_up>(0));
  }

  /// For the behaviour of a derived actor.
  void handle(const wake_up& message) {
    if (auto* resumed = deliver(static_cast<lua::wait_token>(message.token))) on_progress(*resumed);
  }
};

}  // namespace troupe::actors
