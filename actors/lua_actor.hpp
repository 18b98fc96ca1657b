// SPDX-License-Identifier: Apache-2.0
//
// An actor that Lua made with troupe.spawn: a module's functions, a state, a mailbox. It handles one
// message after the other; between two of them it can move to a new release: its state is copied into
// the new VM and given to code_change there, its mailbox and address stay.
//
// Source   docs/lua-api.md, "Actors"; after Erlang's gen_server.
// Thread   shard.
// Called   made by actors/shard_release (troupe.spawn); told of releases by actors/shard.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "actors/resident.hpp"
#include "actors/script_actor.hpp"
#include "actors/shard_release.hpp"
#include "lua/actor_runner.hpp"
#include "net/belongings.hpp"

namespace troupe::actors {

class lua_actor final : public script_actor, private resident {
public:
  lua_actor(caf::actor_config& config, shard& home, std::shared_ptr<shard_release> release,
            lua::actor_start what);

  /// Makes the actor; it begins with its first letter. @return its address.
  static lua::mail_address start(shard& home, std::shared_ptr<shard_release> release,
                                 lua::actor_start what);

  caf::behavior make_behavior() override;
  void on_exit() override;
  void on_begin() override;
  const char* name() const override { return "troupe.lua"; }

  // lua::script_host
  [[nodiscard]] net::belongings& mail_owner(lua::script&) noexcept override { return mail_; }

protected:
  void on_progress(lua::script& resumed) override;

private:
  [[nodiscard]] lua::mailbox& mailbox() { return home().mail().of(mail_); }
  void work(const char* how, const lua::carried_message& arguments);
  void move(lua_State* results, int state);
  void end(std::string reason) noexcept;

  // resident
  void end_gracefully() noexcept override;
  void end_now() noexcept override { end("node stops"); }
  void end_with(const shard_release& release, std::int64_t drain_ms) noexcept override;
  void change_release(const shard_release& from) noexcept override;

  caf::strong_actor_ptr self_;  ///< Keeps this alive until it has ended.
  std::shared_ptr<shard_release> release_;
  lua::actor_start what_;
  net::belongings mail_;  ///< Whose mailbox it is: the same in all releases.
  std::optional<lua::script> script_;
};

}  // namespace troupe::actors
