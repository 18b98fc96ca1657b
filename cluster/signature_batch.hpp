// SPDX-License-Identifier: Apache-2.0
//
// The signatures of many changes, checked on several threads: a check takes a tenth of a
// millisecond, and who was away has thousands.
//
// Thread   cluster; its own threads end before it returns.
// Called   by cluster/follower.
#pragma once

#include "cluster/change.hpp"

#include <cstddef>
#include <vector>

namespace troupe::cluster {

/// How many of the first are genuine; 0 where it is not worth it, or nothing is signed.
[[nodiscard]] std::size_t count_genuine(const std::vector<change>& list, bool has_keys);

}  // namespace troupe::cluster
