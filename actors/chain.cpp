// SPDX-License-Identifier: Apache-2.0
#include "actors/chain.hpp"

#include "actors/exchange_actor.hpp"

namespace troupe::actors {
namespace {
void send(const caf::strong_actor_ptr& stage, const exchange_ref& exchange) {
  stage->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(), {},
                                           enter_stage{exchange, exchange->entry}),
                 &exchange->owner->home());
}
}  // namespace

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
    case verdict::leave: exchange->owner->tell(leave_chain{exchange, exchange->entry}); return;
  }
}

void chain::enter_again(const exchange_ref& exchange) const {
  send(links_[exchange->x.position].stage, exchange);
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
  if (index < links_.size()) {
    send(links_[index].stage, exchange);
  } else {
    exchange->owner->tell(leave_chain{exchange, exchange->entry});
  }
}

}  // namespace troupe::actors
