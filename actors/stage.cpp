// SPDX-License-Identifier: Apache-2.0
#include "actors/stage.hpp"

#include "actors/chain.hpp"

namespace troupe::actors {

caf::behavior stage::make_behavior() {
  return {[this](enter_stage& message) {
    exchange_box& box = *message.exchange;
    if (box.owner == nullptr) return;  // Its client and its actor have gone.
    const verdict v = handle(box);
    box.stages->pass_on(message.exchange, v);
  }};
}

}  // namespace troupe::actors
