// SPDX-License-Identifier: Apache-2.0
#include "cluster/peer_names.hpp"

namespace troupe::cluster {

bool peer_names::is_node(const cluster_state& state, const peer_id& peer, const std::string& node) {
  if (!state.has_keys()) return true;
  const auto member = state.members().find(node);
  return member != state.members().end() && member->second.curve == peer;
}

bool peer_names::may_speak_for(const cluster_state& state, const peer_id& peer,
                               const std::string& node) {
  const auto named = names_.find(peer);
  if (named == names_.end() || !is_node(state, peer, named->second)) {
    if (!is_node(state, peer, node)) return false;
    names_[peer] = node;
    return true;
  }
  if (named->second == node || !state.has_keys()) return true;
  return !state.members().at(named->second).address.empty() && state.members().contains(node);
}

std::map<std::string, std::string> members_by_key(const cluster_state& state) {
  std::map<std::string, std::string> result;
  for (const auto& [name, member] : state.members()) result[member.curve] = name;
  return result;
}

}  // namespace troupe::cluster
