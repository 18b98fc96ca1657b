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
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace troupe::cluster {

class outcomes {
 public:
  /// @param known  of before a restart, the oldest first.
  /// @param store  puts one where it outlives a restart: of pushes, and of refusals that stay.
  outcomes(std::vector<progress> known, std::function<void(const progress&)> store);

  void keep(progress outcome);
  /// A node that was left behind has acknowledged after all.
  void came_after_all(const acknowledgement& ack);
  /// None: it is not known, and may be done.
  [[nodiscard]] std::optional<progress> find(const order_id& id, const cluster_state& state) const;

 private:
  std::deque<progress> kept_;
  std::function<void(const progress&)> store_;
  std::size_t lines_ = 0;  ///< One for each node of each.
};

/// A query that begins with this and goes on with an order's id is answered with how the order went:
/// a `progress` as encode() makes it; nothing: it is not known.
inline constexpr std::string_view outcome_query = "outcome ";
/// 32 hex digits, as text() writes them.
[[nodiscard]] std::optional<order_id> parse_order_id(std::string_view text);

/// The answer to an order that is not done.
[[nodiscard]] progress refused_order(const order_id& id, const refusal& why);
/// Whether its refusal is the order's outcome. Another copy of a push may be on its way still: it must
/// not be done when what stood against it is over, for its pusher was told that it is not.
[[nodiscard]] bool stays_refused(const order& what, const refusal& why);

}  // namespace troupe::cluster
