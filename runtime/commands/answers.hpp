// SPDX-License-Identifier: Apache-2.0
//
// The JSON of several commands: problems, refusals, listeners. Names are stable, new ones may be
// added.
//
// Source   docs/getting-started.md.
// Thread   any.
// Called   by runtime/commands.
#pragma once

#include "runtime/listener_url.hpp"
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

}  // namespace troupe
