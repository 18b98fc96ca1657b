// SPDX-License-Identifier: Apache-2.0
//
// Where the cluster's log lines go; runtime/log_sink writes them.
//
// Source   docs/architecture.md.
// Thread   cluster.
// Called   by all of cluster/ that lives longer than a call.
#pragma once

#include <functional>
#include <string_view>

namespace troupe::cluster {

enum class log_level { debug, info, notice, warn, error };
using log_function = std::function<void(log_level, std::string_view)>;

}  // namespace troupe::cluster
