// SPDX-License-Identifier: Apache-2.0
#include "actors/shard_release.hpp"

#include <unordered_map>

namespace troupe::actors {

shard_release::shard_release(std::shared_ptr<const site> site, std::unique_ptr<lua::vm> machine)
    : site_(std::move(site)), machine_(std::move(machine)) {}

shard_release::~shard_release() = default;

void shard_release::attach(shard& home) {
  chains_.resize(static_cast<std::size_t>(site_->location_count));
  log_chains_.resize(static_cast<std::size_t>(site_->location_count));
  // A handler that many locations inherit is one actor.
  std::unordered_map<const stage_spec*, caf::strong_actor_ptr> made;
  auto build = [&](const location& place) {
    for (const auto& spec : place.stages) {
      caf::strong_actor_ptr& actor = made[spec.get()];
      if (!actor) actor = spec->spawn(home, *this);
      chain& target = spec->where == lua::phase::log
                          ? log_chains_[static_cast<std::size_t>(place.id)]
                          : chains_[static_cast<std::size_t>(place.id)];
      target.append({spec->where, actor});
    }
  };
  for (const auto& server : site_->servers) {
    build(server->defaults);
    build(server->fallback);
    for (const auto& place : server->places) build(*place);
  }
}

void shard_release::detach() {
  chains_.clear();
  log_chains_.clear();
}

}  // namespace troupe::actors
