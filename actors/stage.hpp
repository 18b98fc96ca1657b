// SPDX-License-Identifier: Apache-2.0
//
// A stage: the actor that carries exchanges through one phase. A letter brings it an exchange, it does its
// work on that and passes it on. Stages keep nothing about an exchange between messages;
// what a stage has to remember while it waits is in the exchange (`step`).
//
// A stage that has to wait returns `wait`. When what it waited for is over, the owner of the
// exchange sends it the same exchange again.
//
// To write one: derive, override handle(), hand a stage_spec to the location. See
// docs/embedding.md.
//
// Source   the phase handlers of nginx's development guide, "HTTP phases".
// Thread   shard.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "actors/exchange_box.hpp"
#include "actors/shard_actor.hpp"
#include "lua/phase.hpp"

namespace troupe::actors {

class shard_release;

enum class verdict {
  next,        ///< To the next stage.
  skip_phase,  ///< To the first stage of a later phase.
  wait,        ///< Stays; the owner will send it again.
  leave,       ///< To its owner; exchange.next says why.
};

class stage : public shard_actor {
public:
  stage(caf::actor_config& config, shard& home) : shard_actor(config, home) {}

  /// Does the stage's work, or the next part of it (exchange.stage_entered). An exception of the standard
  /// library is logged and ends the exchange with 500.
  virtual verdict handle(exchange_box& box) = 0;

  /// For the letter that brings an exchange.
  void enter(const exchange_ref& exchange);

  caf::behavior make_behavior() override;
};

/// Ends the exchange with a status: `return finish(box, 404);`.
/// @param status  0: the response is complete as it is.
inline verdict finish(exchange_box& box, int status) {
  box.x.next = net::direction::finish;
  box.x.final_status = status;
  return verdict::leave;
}

/// How a release makes a stage on each shard.
struct stage_spec {
  std::string name;  ///< For traces: "access_by_lua(nginx.conf:12)".
  lua::phase where;
  std::function<caf::strong_actor_ptr(shard& home, shard_release& release)> spawn;
};

}  // namespace troupe::actors
