// SPDX-License-Identifier: Apache-2.0
#include "actors/chain.hpp"

#include "actors/exchange_actor.hpp"

namespace troupe::actors {

chain::link::link(lua::phase phase, caf::strong_actor_ptr what)
    : where(phase),
      actor(std::move(what)),
      ours(dynamic_cast<stage*>(caf::actor_cast<caf::abstract_actor*>(actor))) {}

void chain::begin(const exchange_ref& exchange) const {
  exchange->stages = this;
  exchange->next_stages = nullptr;
  exchange->x.next = net::direction::onward;
  enter(exchange, 0);
}

void chain::pass_on(const exchange_ref& exchange, verdict v) const {
  net::exchange& x = exchange->x;
  switch (v) {
    case verdict::wait: x.stage_entered = true; return;
    case verdict::next: enter(exchange, x.position + 1); return;
    case verdict::skip_phase: {
      std::size_t index = x.position + 1;
      while (index < links_.size() && links_[index].where == links_[x.position].where) ++index;
      enter(exchange, index);
      return;
    }
    case verdict::leave: exchange->owner->home().letters().leave_chain(exchange); return;
  }
}

void chain::enter_again(const exchange_ref& exchange) const {
  exchange->owner->home().letters().enter_stage(exchange);
}

void chain::enter(const exchange_ref& exchange, std::size_t index) const {
  net::exchange& x = exchange->x;
  if (x.is_subrequest) {  // Who may come in was decided for its parent.
    while (index < links_.size() && links_[index].where == lua::phase::access) ++index;
  }
  x.position = static_cast<std::uint32_t>(index);
  x.step = 0;
  x.stage_entered = false;
  ++exchange->entry;
  letters& letters = exchange->owner->home().letters();
  if (index < links_.size()) {
    letters.enter_stage(exchange);
  } else {
    letters.leave_chain(exchange);
  }
}

void chain::work(const exchange_ref& exchange) const {
  const link& at = links_[exchange->x.position];
  if (at.ours == nullptr) {
    at.actor->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(), {},
                                                enter_stage{exchange, exchange->entry}),
                      &exchange->owner->home());
    return;
  }
  if (at.ours->run([&] { at.ours->enter(exchange); })) return;
  // Somebody killed it: nobody else will answer.
  pass_on(exchange, finish(*exchange, 500));
}

}  // namespace troupe::actors
