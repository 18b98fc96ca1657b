// SPDX-License-Identifier: Apache-2.0
//
// The mail between actors of one shard: what carries an exchange from stage to stage and what wakes a
// script. A letter is a message like any other, asynchronous and in order, but it never leaves the
// thread, so it lies in a list of the shard and not in a CAF mailbox: no allocation, no atomic queue.
// An exchange names its stage and its owner itself, so that its letters count no references of actors.
//
// Everything else, from other threads and from CAF, goes through the mailboxes.
//
// Source   "Why letters" in docs/architecture.md.
// Thread   shard.
// Called   written by chain, exchange_actor, script_actor and those who start actors; handed out by
//          shard.
#pragma once

#include <caf/actor_control_block.hpp>
#include <cstdint>
#include <vector>

#include "actors/messages.hpp"

namespace troupe::actors {

class script_actor;

class letters {
public:
  /// To the stage that the exchange is at. It comes too late, and is dropped, once the exchange has gone on.
  void enter_stage(const exchange_ref& exchange);
  /// To the owner of the exchange: the stages are through with it.
  void leave_chain(const exchange_ref& exchange);
  /// To the owner of the exchange: what its stage, entered as number `entry`, waited for is over.
  void stage_due(const exchange_ref& exchange, std::uint32_t entry);
  /// To an actor that runs scripts: the wait with this token is over.
  void wake(script_actor& to, std::uint64_t token);
  /// To a new actor: begin.
  void begin(script_actor& to);

  [[nodiscard]] bool empty() const noexcept { return written_.empty(); }
  /// Hands out what has been written so far; what that causes is for the next time.
  void deliver();

private:
  enum class kind : std::uint8_t { enter_stage, leave_chain, stage_due, wake, begin };
  struct letter {
    kind what;
    std::uint32_t entry = 0;
    std::uint64_t token = 0;
    exchange_ref exchange = {};
    caf::strong_actor_ptr to = nullptr;  ///< Null: the exchange says to whom.
  };
  static void deliver(const letter& one);
  static void deliver_to_owner(const letter& one);

  std::vector<letter> written_;
  std::vector<letter> handed_out_;
};

}  // namespace troupe::actors
