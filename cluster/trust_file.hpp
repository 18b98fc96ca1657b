// SPDX-License-Identifier: Apache-2.0
//
// The root of trust: keys that are trusted from the beginning, whatever the network says. A small
// TOML file that people can read and carry to other machines:
//
//   format = 1
//   tools = ["rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"]   # CURVE keys of operators' tools
//
//   [[key]]
//   name = "ann"
//   key = "ed25519:…"
//   roles = ["admin"]
//
// Source   docs/cluster.md, "Keys"; of TOML 1.0 what stands above: comments, integers, strings
//          without escapes, arrays of strings on one line.
// Thread   any; a value.
// Errors   load(): `denied` if others may write the file, `malformed` with its line.
// Called   by cluster/key_folder, cluster/node_keys, cluster/join_token.
#pragma once

#include "cluster/cluster_state.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

struct trust_root {
  static constexpr std::size_t max_keys = 1'000;
  static constexpr std::size_t max_tools = 1'000;

  std::map<public_key, trusted_key> keys;
  std::vector<std::string> tools;  ///< May connect to query, push and order; are no nodes.

  [[nodiscard]] std::string text() const;
  /// @param file  for messages.
  [[nodiscard]] static tl::expected<trust_root, refusal> parse(std::string_view text,
                                                               const std::string& file);
  [[nodiscard]] static tl::expected<trust_root, refusal> load(const std::string& path);
  /// A new file, 0644, synced; never over one that is there.
  [[nodiscard]] tl::expected<void, refusal> save(const std::string& path) const;

  bool operator==(const trust_root&) const = default;
};

}  // namespace troupe::cluster
