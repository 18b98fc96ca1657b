// SPDX-License-Identifier: Apache-2.0
//
// What a tool needs to link to a node: its own CURVE key, the node's, and whom to trust.
//
// Source   docs/cluster.md, "Security".
// Thread   any; a value.
// Errors   a key folder without the key of the address.
// Called   by runtime/commands/link_way.
#pragma once

#include "cluster/cluster_state.hpp"
#include "cluster/curve_key.hpp"
#include "troupe/diagnostic.hpp"

#include <map>
#include <optional>
#include <string>

namespace troupe {

struct link_keys {
  std::optional<cluster::curve_pair> tools;  ///< None: a cluster without keys.
  std::string server;                        ///< Z85.
  std::map<cluster::public_key, cluster::trusted_key> root;

  [[nodiscard]] static tl::expected<link_keys, diagnostic> load(const std::string& key_folder,
                                                                const std::string& address);
};

}  // namespace troupe
