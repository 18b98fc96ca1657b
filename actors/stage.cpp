// SPDX-License-Identifier: Apache-2.0
#include "actors/stage.hpp"

#include "actors/chain.hpp"

namespace troupe::actors {

void stage::enter(const enter_stage& message) {
  const exchange_ref& exchange = message.exchange;
  exchange_box& box = *exchange;
  if (box.owner == nullptr) return;  // Its client and its actor have gone.
  if (box.entry != message.entry) return;
  const verdict v = handle(box);
  if (box.entry == message.entry) box.stages->pass_on(exchange, v);
}

caf::behavior stage::make_behavior() {
  return {[this](enter_stage& message) { enter(message); }};
}

void stage::receive(message_type, caf::type_erased_tuple& content) {
  enter(content.get_as<enter_stage>(0));
}

}  // namespace troupe::actors
