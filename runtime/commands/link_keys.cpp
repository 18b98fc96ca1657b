// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/link_keys.hpp"

#include "cluster/key_folder.hpp"
#include "cluster/link_address.hpp"

namespace troupe {

tl::expected<link_keys, diagnostic> link_keys::load(const std::string& key_folder,
                                                    const std::string& address) {
  link_keys found;
  auto keys = cluster::key_folder::load(key_folder);
  if (!keys) {
    if (keys.error().errc != cluster::refusal_errc::missing) {
      return tl::unexpected(diagnostic{.reason = keys.error().reason});
    }
    const auto to = cluster::link_address::parse(address);
    if (to && to->is_loopback()) return found;
    return tl::unexpected(diagnostic{
        .reason = "a link to " + address + " needs keys, and there are none at " + key_folder,
        .hint = "--keys DIR or $TROUPE_KEYS names the folder that `troupe keys init` has made"});
  }
  const auto known = keys->known_nodes();
  if (!known) return tl::unexpected(diagnostic{.reason = known.error().reason});
  const auto server = known->find(address);
  if (server == known->end()) {
    return tl::unexpected(diagnostic{
        .reason = "the key of " + address + " is not known",
        .hint = key_folder +
                "/known_nodes has a line HOST:PORT KEY for each node that tools link to, and `troupe "
                "keys list` on a node shows its key"});
  }
  found.tools = keys->tools();
  found.server = server->second;
  found.root = keys->trust().keys;
  return found;
}

}  // namespace troupe
