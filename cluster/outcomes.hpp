// SPDX-License-Identifier: Apache-2.0
//
// How orders went, for who asks again: what the history says of those that it has, and the last
// answers with a line for each node or the reason of a refusal, which it has not. Many nodes times many
// orders are megabytes: of older ones the lines go first.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster.
// Called   by cluster/controller.
#pragma once

#include "cluster/cluster_state.hpp"
#include "cluster/messages.hpp"

#include <deque>
#include <optional>

namespace troupe::cluster {

class outcomes {
 public:
  void keep(progress outcome);
  /// A node that was left behind has acknowledged after all.
  void came_after_all(const acknowledgement& ack);
  /// None: it is not known, and may be done.
  [[nodiscard]] std::optional<progress> find(const order_id& id, const cluster_state& state) const;

 private:
  std::deque<progress> kept_;
  std::size_t lines_ = 0;  ///< One for each node of each.
};

/// The answer to an order that is not done.
[[nodiscard]] progress refused_order(const order_id& id, const refusal& why);
/// Whether its refusal is the order's outcome. Another copy of a push may be on its way still: it must
/// not be done when what stood against it is over, for its pusher was told that it is not.
[[nodiscard]] bool stays_refused(const order& what, const refusal& why);

}  // namespace troupe::cluster
