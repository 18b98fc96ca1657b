// SPDX-License-Identifier: Apache-2.0
//
// What a node is known by, in DATA/keys: node.key (its CURVE pair), signing.key (Ed25519: what it
// signs with as a controller), both made at its first start, and trust.toml, its own copy of the
// root of trust, which comes from the operator's folder or a join token and never from the network.
//
// Source   docs/cluster.md, "Keys".
// Thread   any; a value.
// Errors   `denied` for a file that others can read; `conflict` for another root of trust than the
// one
//          that is there.
// Called   by cluster/agent.
#pragma once

#include "cluster/curve_key.hpp"
#include "cluster/trust_file.hpp"

#include <optional>
#include <string>

namespace troupe::cluster {

struct node_keys {
  curve_pair link;
  signing_key signing;

  [[nodiscard]] static tl::expected<node_keys, refusal> load_or_make(
      const std::string& data_folder);
  /// None: this node has joined no cluster with keys yet.
  [[nodiscard]] static tl::expected<std::optional<trust_root>, refusal> trust(
      const std::string& data_folder);
  /// Keeps it, once. A root that shares no key with the one that is there is another cluster's.
  [[nodiscard]] static tl::expected<void, refusal> keep_trust(const std::string& data_folder,
                                                              const trust_root& root);
};

}  // namespace troupe::cluster
