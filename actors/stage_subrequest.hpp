// SPDX-License-Identifier: Apache-2.0
//
// A subrequest that a stage waits for: the exchange enters the stage again when it is answered.
//
// Thread   shard.
// Memory   kept in exchange_box::subrequest.
// Called   by stages/echo, stages/auth_request.
#pragma once

#include "actors/exchange_actor.hpp"
#include "net/subrequest.hpp"

namespace troupe::actors {

class stage_subrequest final : public net::subrequest {
public:
  explicit stage_subrequest(exchange_box& parent) : parent_(parent) {}
  void on_answered() noexcept override {
    parent_.owner->home().letters().stage_due(exchange_ref(&parent_), parent_.entry);
  }

private:
  exchange_box& parent_;
};

}  // namespace troupe::actors
