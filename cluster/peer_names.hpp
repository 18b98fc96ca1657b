// SPDX-License-Identifier: Apache-2.0
//
// Which node a peer below is, and for which nodes it may speak: itself, and if it binds an address
// those below it. On a cluster without keys a peer is whom it says.
//
// Source   docs/cluster.md, "Links" and "Security".
// Thread   cluster.
// Called   by cluster/controller, cluster/relay.
#pragma once

#include "cluster/cluster_state.hpp"
#include "cluster/links.hpp"

#include <map>
#include <string>

namespace troupe::cluster {

class peer_names {
 public:
  /// Whether the peer has that node's key.
  [[nodiscard]] static bool is_node(const cluster_state& state, const peer_id& peer,
                                    const std::string& node);
  /// @param node  that the peer is, as is_node() says.
  void put(const peer_id& peer, std::string node) { names_[peer] = std::move(node); }
  void erase(const peer_id& peer) { names_.erase(peer); }
  /// One that has said no hello yet (it catches up, or the one above was started anew) is learned by
  /// what it says of itself.
  [[nodiscard]] bool may_speak_for(const cluster_state& state, const peer_id& peer,
                                   const std::string& node);

 private:
  std::map<peer_id, std::string> names_;
};

/// The members' names, by the key of their links.
[[nodiscard]] std::map<std::string, std::string> members_by_key(const cluster_state& state);

}  // namespace troupe::cluster
