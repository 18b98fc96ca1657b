// SPDX-License-Identifier: Apache-2.0
//
// What `troupe keys token` prints for a node on another machine: one line with a one-time CURVE
// pair, an admin's grant for it, the root of trust, and where to go. Who has it can make one node a
// member until it ends or is used.
//
//   troupe1- base64url( [form, secret, grant, keys, tools, nodes] and 4 bytes of its SHA-256 )
//
// Source   docs/cluster.md, "Joining from another machine".
// Thread   any; a value.
// Errors   parse() takes what people paste: bounded; it says whether it is no token, cut or
// mistyped,
//          or of a newer troupe.
// Called   by cluster/agent, `troupe keys token`.
#pragma once

#include "cluster/key_folder.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

struct join_token {
  static constexpr std::size_t max_text_bytes = 64 * 1024;
  static constexpr std::size_t max_nodes = 64;

  struct node {
    std::string address;  ///< host:port
    std::string curve;
    bool operator==(const node&) const = default;
  };
  std::string secret;  ///< Z85, of the one-time pair.
  signed_order grant;  ///< add_token, which must be submitted, so that the pair is let in.
  trust_root trust;
  std::vector<node> nodes;  ///< That bind.

  /// A new pair and its grant, signed by the operator.
  [[nodiscard]] static tl::expected<join_token, refusal> make(const key_folder& keys,
                                                              std::vector<node> nodes,
                                                              bool may_lead, wall_time now,
                                                              std::chrono::seconds life);

  [[nodiscard]] std::string text() const;
  /// Blanks around it do not matter.
  [[nodiscard]] static tl::expected<join_token, refusal> parse(std::string_view text);
  bool operator==(const join_token&) const = default;
};

}  // namespace troupe::cluster
