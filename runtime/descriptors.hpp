// SPDX-License-Identifier: Apache-2.0
//
// Whether the process may open another file. Asked by who has just made an event loop: one that got no
// descriptors does not wait, it spins.
//
// Source   getrlimit(2), RLIMIT_NOFILE.
// Thread   any.
// Called   by runtime/init_run, runtime/machine_builder, runtime/node.
#pragma once

#include <string>
#include <string_view>

namespace troupe {

inline constexpr std::string_view no_descriptor_is_left = "no file descriptor is left";

/// That, with the system's reason: "… (24: Too many open files)"; empty: there are some.
[[nodiscard]] std::string lack_of_descriptors();

}  // namespace troupe
