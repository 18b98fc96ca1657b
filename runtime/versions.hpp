// SPDX-License-Identifier: Apache-2.0
//
// What this program is: its version, nginx's whose behaviour it follows, and those of its libraries
// as they are loaded now.
//
// Thread   any.
// Called   by runtime/commands/version and runtime/nginx_invocation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// "0.1.0"
std::string_view troupe_version() noexcept;

/// The nginx whose configuration and behaviour this one has; what tools for nginx are told.
inline constexpr std::string_view nginx_version = "1.22.1";

struct library_version {
  std::string_view name;
  std::string version;
};
std::vector<library_version> library_versions();

/// "gcc 12.2.0"
std::string compiler_version();

}  // namespace troupe
