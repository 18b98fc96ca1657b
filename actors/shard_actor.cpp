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

bool shard_actor::begin_run() {
  if (getf(is_terminated_flag)) return false;
  // An actor that runs already needs of activate() only this; the rest of it is 400 instructions.
  if (!getf(is_initialized_flag) || !has_behavior()) return activate(&home_);
  context(&home_);
  return true;
}

void shard_actor::end_run() {
  if (!has_behavior()) finalize();  // It has quit.
}

}  // namespace troupe::actors
