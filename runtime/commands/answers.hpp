// SPDX-License-Identifier: Apache-2.0
//
// The JSON of several commands: problems, refusals, listeners. Names are stable, new ones may be
// added.
//
// Source   docs/getting-started.md.
// Thread   any.
// Called   by runtime/commands.
#pragma once

#include "troupe/node.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// [{"reason":…,"file":…|null,"line":…|null,"hint":…|null}]
[[nodiscard]] std::string json_of(const diagnostics& problems);

/// {"error":ERROR,"reason":…,"file":…,"line":…,"problems":[…]}; reason, file and line are the first
/// error's, the latter two only if it has them.
[[nodiscard]] std::string json_refusal(std::string_view error, const diagnostics& problems);

/// [{"address":"0.0.0.0:8080","protocol":"http"}]
[[nodiscard]] std::string json_of(const std::vector<listener_info>& listeners);

/// Where one would point a browser: "http://127.0.0.1:8080" for "0.0.0.0:8080".
[[nodiscard]] std::string url_of(const listener_info& listener);

}  // namespace troupe
