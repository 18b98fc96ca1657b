// SPDX-License-Identifier: Apache-2.0
//
// A listener as people reach it.
//
// Source   docs/getting-started.md.
// Thread   any.
// Called   by runtime/commands, runtime/cluster_host.
#pragma once

#include "troupe/node.hpp"

#include <string>

namespace troupe {

/// Where one would point a browser: "http://127.0.0.1:8080" for "0.0.0.0:8080".
[[nodiscard]] std::string url_of(const listener_info& listener);

}  // namespace troupe
