// SPDX-License-Identifier: Apache-2.0
//
// One history against another: which of two controllers' takes precedence, how one is shown to the
// other, and what of ours is not part of theirs.
//
// Source   docs/cluster.md, "Controllers".
// Thread   cluster.
// Called   by cluster/controller, cluster/follower.
#pragma once

#include "cluster/change_log.hpp"
#include "cluster/cluster_state.hpp"
#include "cluster/messages.hpp"

namespace troupe::cluster {

/// A `changes` that nobody asked for, with the promotion that made the state's controller; none
/// where nobody was promoted yet.
[[nodiscard]] std::optional<message> proof_of(const cluster_state& state);
/// Whether it has a genuine promotion, by an administrator that `ours` trusts, that ends the
/// leadership of the controller of `ours`.
[[nodiscard]] bool is_superseded_by(const cluster_state& ours, const changes& proof);
/// By epoch; two promotions to one epoch are ordered by the controllers' keys.
[[nodiscard]] bool outranks(const cluster_state& theirs, const cluster_state& ours);
/// Orders of people in our log that the other history does not have, or has not done as ours had: a
/// push that was active and has been aborted there.
[[nodiscard]] std::vector<change> lost_in(const change_log& log, const cluster_state& ours,
                                          const cluster_state& theirs);

[[nodiscard]] bool has_checkpoint(const change& what);
/// Acknowledged with `applied`.
[[nodiscard]] bool is_one_step(const order& what);

}  // namespace troupe::cluster
