// SPDX-License-Identifier: Apache-2.0
//
// What `apply`, `rollback` and `releases` print for people.
//
// Source   docs/getting-started.md.
// Thread   main.
// Called   by runtime/commands.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace troupe {

/// "release 2  parent 1  3 files changed  sha256:1f2e…  loaded in 11.9 ms, swapped in 0.3 ms" and a
/// line for each file, of an answer to apply or rollback.
[[nodiscard]] std::string deployed_text(const nlohmann::ordered_json& outcome);

/// Cells in columns, the first row their heads; no spaces behind the last.
[[nodiscard]] std::string table_text(std::vector<std::vector<std::string>> rows);

/// "sha256:1f2e3d4c…" short enough for a table.
[[nodiscard]] std::string short_digest(const std::string& digest);

}  // namespace troupe
