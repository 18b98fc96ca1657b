// SPDX-License-Identifier: Apache-2.0
#include "actors/stage.hpp"

#include <exception>

#include "actors/chain.hpp"

namespace troupe::actors {

void stage::enter(const exchange_ref& exchange) {
  exchange_box& box = *exchange;
  const std::uint32_t entry = box.entry;
  verdict v = verdict::leave;
  try {
    v = handle(box);
  } catch (const std::exception& error) {
    if (box.entry != entry) return;
    if (box.x.enabled(net::log_level::error)) {
      box.x.write(net::log_level::error, std::string("a stage failed: ") + error.what());
    }
    v = finish(box, box.x.header_sent ? -1 : 500);
  }
  if (box.entry == entry) box.stages->pass_on(exchange, v);
}

caf::behavior stage::make_behavior() {
  // An actor with no behaviour would end. Letters go past this one.
  return {[](closed) {}};
}

}  // namespace troupe::actors
