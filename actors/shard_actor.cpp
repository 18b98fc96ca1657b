// SPDX-License-Identifier: Apache-2.0
#include "actors/shard_actor.hpp"

namespace troupe::actors {

shard_actor::shard_actor(caf::actor_config& config, shard& home)
    : caf::event_based_actor(config), home_(home) {
  // CAF's default prints unknown messages; ours are all known, so it is somebody's mistake.
  set_default_handler(caf::drop);
  // A link or monitor of a user's actor that ends is no reason to end, unless it was killed.
  set_down_handler([](caf::scheduled_actor*, caf::down_msg&) {});
}

caf::resumable::resume_result shard_actor::resume(caf::execution_unit* unit,
                                                  std::size_t most_messages) {
  // An actor that runs already needs of activate() only this; the rest of it is 400 instructions.
  if (getf(is_initialized_flag) && !getf(is_terminated_flag) && has_behavior()) {
    context(unit);
  } else if (!activate(unit)) {
    return caf::resumable::done;
  }
  auto& mail = mailbox();
  mail.fetch_more();
  for (std::size_t handled = 0; handled < most_messages; ++handled) {
    // Urgent messages (exit, down, errors) and whatever we do not know go CAF's way.
    if (!get_urgent_queue().empty()) return caf::event_based_actor::resume(unit, most_messages);
    caf::mailbox_element* next = get_normal_queue().peek();
    if (next == nullptr) {
      if (mail.fetch_more()) continue;
      if (mail.try_block()) return caf::resumable::awaiting_message;
      if (!mail.fetch_more()) return caf::event_based_actor::resume(unit, most_messages);
      continue;
    }
    const auto& content = next->content();
    const message_type type = content.size() == 1 ? content.type(0).second : nullptr;
    if (!is_hot(type)) return caf::event_based_actor::resume(unit, most_messages);
    caf::mailbox_element_ptr message = get_normal_queue().take_front();
    receive(type, message->content());
    if (!has_behavior()) {  // It has quit.
      finalize();
      return caf::resumable::done;
    }
  }
  return caf::resumable::resume_later;
}

}  // namespace troupe::actors
