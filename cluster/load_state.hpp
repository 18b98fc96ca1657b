// SPDX-License-Identifier: Apache-2.0
//
// The state that a log leads to: its snapshot and the changes since. What a node's own disk says
// was verified when it was written.
//
// Source   docs/cluster.md, "State".
// Thread   cluster.
// Called   by cluster/controller, cluster/follower.
#pragma once

#include "cluster/change_log.hpp"
#include "cluster/cluster_state.hpp"

namespace troupe::cluster {

[[nodiscard]] tl::expected<cluster_state, refusal> load_state(
    const change_log& log, const std::map<public_key, trusted_key>& root);

}  // namespace troupe::cluster
