// SPDX-License-Identifier: Apache-2.0
//
// Whether the process may open another file. Asked by who has just made an event loop: one that got no
// descriptors does not wait, it spins.
//
// Source   getrlimit(2), RLIMIT_NOFILE.
// Thread   any.
// Called   by runtime/init_run, runtime/node.
#pragma once

#include <string>

namespace troupe {

/// "no file descriptor is left (24: Too many open files)"; empty: there are some.
[[nodiscard]] std::string lack_of_descriptors();

}  // namespace troupe
