// SPDX-License-Identifier: Apache-2.0
//
// An order in its place in the cluster's history.
//
// Source   docs/cluster.md, "State".
// Thread   any; values.
// Errors   decode() takes bytes of strangers: bounded.
// Called   by cluster/change_log, cluster/messages, cluster/controller, cluster/follower.
#pragma once

#include "cluster/order.hpp"
#include "cluster/position.hpp"

namespace troupe::cluster {

struct change {
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  digest parent;   ///< The state digest before it.
  wall_time time;  ///< By the controller's clock; for people only.
  signed_order ordered;
  std::uint32_t release = 0;  ///< Of a release order: the number that the controller gave it.

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static tl::expected<change, refusal> decode(std::string_view bytes);
  /// Where one stands after it: the digest is SHA-256(parent ‖ encode()).
  [[nodiscard]] position after() const;
  bool operator==(const change&) const = default;
};

}  // namespace troupe::cluster
