// SPDX-License-Identifier: Apache-2.0
//
// All keys that a node has at hand: its own, the root of trust, and those by which it becomes a
// member (the operator's on this machine, or a join token).
//
// Source   docs/cluster.md, "Keys".
// Thread   any; a value.
// Errors   load(): refusals that name the file, and off loopback what to do.
// Called   by cluster/agent, cluster/agent_core, cluster/enrolment.
#pragma once

#include "cluster/agent.hpp"
#include "cluster/curve_key.hpp"
#include "cluster/key_folder.hpp"
#include "cluster/signing_key.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cluster {

struct agent_keys {
  bool has_keys = false;  ///< Else a cluster without keys, and all below is empty.
  curve_pair links;
  std::optional<signing_key> signing;
  std::map<public_key, trusted_key> root;
  std::vector<std::string> tools;  ///< Public CURVE keys of operators' tools.

  std::optional<curve_pair> token;
  std::string grant;  ///< Of the token: an encoded signed_order.
  bool token_may_lead = false;

  std::optional<key_folder> folder;  ///< The operator's, if this user may read it.
  std::map<std::string, std::string, std::less<>> token_servers;  ///< Keys by address.

  /// Makes the node's own if there are none.
  [[nodiscard]] static tl::expected<agent_keys, refusal> load(const agent::options& how);

  /// The key of who binds this address, as the token or the operator's folder says; read each time.
  [[nodiscard]] std::string server_at(const std::string& address) const;
  /// Says so to others of this machine.
  [[nodiscard]] tl::expected<void, refusal> note_bound(const std::string& address) const;

  /// The order that makes the node a member; nothing if it has no key or token for it.
  [[nodiscard]] std::optional<signed_order> membership(const std::string& name,
                                                       const std::string& address,
                                                       bool may_lead) const;
  /// An order of this node's own name, signed by whoever it can: the operator, else itself.
  [[nodiscard]] signed_order sign(const order& what) const;
};

/// An order with an id of its own, ordered now and good for a while.
[[nodiscard]] order fresh_order(std::string author, order_body body);

}  // namespace troupe::cluster
