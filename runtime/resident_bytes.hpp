// SPDX-License-Identifier: Apache-2.0
//
// The memory that the process has in use, as the kernel counts it.
//
// Source   proc(5), /proc/PID/statm.
// Thread   any.
// Called   by runtime/admin_api, runtime/cluster_api.
#pragma once

#include <cstdint>

namespace troupe {

[[nodiscard]] std::uint64_t resident_bytes();

}  // namespace troupe
