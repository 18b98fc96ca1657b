// SPDX-License-Identifier: Apache-2.0
//
// What several commands say: problems and refusals, on stderr and as JSON; listeners. Names in JSON are
// stable, new ones may be added.
//
// Source   docs/getting-started.md.
// Thread   any; main of what writes.
// Called   by runtime/commands.
#pragma once

#include "runtime/listener_url.hpp"
#include "troupe/diagnostic.hpp"
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

/// Says it on stderr and, with --json, on stdout: {"error":ERROR,"reason":…,"file":…,"line":…,"hint":…},
/// the last three only if it has them. @return `status`
int refuse_with(bool json, std::string_view error, const diagnostic& problem, int status);
/// The same of what was typed wrong. @return exit_usage
int wrong_usage(bool json, const diagnostic& problem);

/// [{"address":"0.0.0.0:8080","protocol":"http"}]
[[nodiscard]] std::string json_of(const std::vector<listener_info>& listeners);

}  // namespace troupe
