// SPDX-License-Identifier: Apache-2.0
//
// What `troupe cluster status` shows of a controller, as JSON: who leads, pushes under way, and
// changes that were acknowledged and are not part of the history any more.
//
// Source   docs/cluster.md, "Disaster recovery".
// Thread   any.
// Called   by cluster/controller.
#pragma once

#include "cluster/cluster_state.hpp"

#include <string>
#include <vector>

namespace troupe::cluster {

/// Those that were acknowledged and are not part of the history any more: an array.
[[nodiscard]] std::string aside_text(const std::vector<change>& aside);
[[nodiscard]] std::string status_text(const cluster_state& state, const std::vector<change>& aside,
                                      std::uint64_t denied);

}  // namespace troupe::cluster
