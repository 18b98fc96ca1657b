// SPDX-License-Identifier: Apache-2.0
#include "actors/letters.hpp"

#include <utility>

#include "actors/chain.hpp"
#include "actors/exchange_actor.hpp"

namespace troupe::actors {

void letters::enter_stage(const exchange_ref& exchange) {
  written_.push_back({.what = kind::enter_stage, .entry = exchange->entry, .exchange = exchange});
}

void letters::leave_chain(const exchange_ref& exchange) {
  written_.push_back({.what = kind::leave_chain, .entry = exchange->entry, .exchange = exchange});
}

void letters::stage_due(const exchange_ref& exchange, std::uint32_t entry) {
  written_.push_back({.what = kind::stage_due, .entry = entry, .exchange = exchange});
}

void letters::wake(script_actor& to, std::uint64_t token) {
  written_.push_back(
      {.what = kind::wake, .token = token, .to = caf::actor_cast<caf::strong_actor_ptr>(&to)});
}

void letters::begin(script_actor& to) {
  written_.push_back({.what = kind::begin, .to = caf::actor_cast<caf::strong_actor_ptr>(&to)});
}

void letters::deliver() {
  handed_out_.swap(written_);
  for (letter& each : handed_out_) {
    const letter one = std::move(each);  // Its exchange may be free before the next one is read.
    deliver(one);
  }
  handed_out_.clear();
}

void letters::deliver(const letter& one) {
  if (one.what == kind::enter_stage) {
    const exchange_box& box = *one.exchange;
    if (box.owner != nullptr && box.entry == one.entry) box.stages->work(one.exchange);
    return;
  }
  if (one.exchange) return deliver_to_owner(one);
  auto& to = static_cast<script_actor&>(*caf::actor_cast<caf::abstract_actor*>(one.to));
  to.run([&] {
    if (one.what == kind::wake) to.woken(static_cast<lua::wait_token>(one.token));
    else to.on_begin();
  });
}

void letters::deliver_to_owner(const letter& one) {
  exchange_actor* const owner = one.exchange->owner;
  if (owner == nullptr) return;  // Its client and its actor have gone.
  // The end of its exchange may be its own.
  const auto kept = caf::actor_cast<caf::strong_actor_ptr>(owner);
  owner->run([&] {
    if (one.what == kind::leave_chain) owner->leave(one.exchange, one.entry);
    else owner->stage_is_due(one.exchange, one.entry);
  });
}

}  // namespace troupe::actors
