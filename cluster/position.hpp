// SPDX-License-Identifier: Apache-2.0
//
// Where somebody stands in the cluster's history. Two that stand at the same (epoch, seq) have the
// same digest, or one of them has another history.
//
// Source   docs/cluster.md, "State".
// Thread   any; a value.
// Called   by all of cluster/ that knows of changes.
#pragma once

#include "cluster/digest.hpp"

#include <compare>
#include <cstdint>

namespace troupe::cluster {

struct position {
  std::uint64_t epoch = 0;  ///< Up by one whenever another controller takes over; 0: nothing yet.
  std::uint64_t seq = 0;    ///< Up by one with each change, over all epochs.
  digest state;             ///< SHA-256(the digest before ‖ the change); zeros before the first.

  bool operator==(const position&) const = default;
  /// By epoch, then by seq; the digest does not order.
  [[nodiscard]] bool is_before(const position& other) const noexcept {
    return epoch != other.epoch ? epoch < other.epoch : seq < other.seq;
  }
};

}  // namespace troupe::cluster
