// SPDX-License-Identifier: Apache-2.0
#include "actors/stage.hpp"

#include "actors/chain.hpp"

namespace troupe::actors {

void stage::enter(const exchange_ref& exchange) {
  exchange_box& box = *exchange;
  if (box.owner == nullptr) return;  // Its client and its actor have gone.
  const verdict v = handle(box);
  box.stages->pass_on(exchange, v);
}

caf::behavior stage::make_behavior() {
  return {[this](enter_stage& message) { enter(message.exchange); }};
}

void stage::receive(message_type, caf::type_erased_tuple& content) {
  enter(content.get_as<enter_stage>(0).exchange);
}

}  // namespace troupe::actors
