// SPDX-License-Identifier: Apache-2.0
//
// An app's folder as a manifest, and its contents handed out one by one: one state of the whole
// folder, never half of a save. What changes meanwhile is read again; what goes on changing is
// refused. Left out: `.git`, swap files of editors, `*.log`, `*.pid`, sockets, a node's data folder,
// `logs/` and `*_temp/` at the top, and what `.troupeignore` names (cluster/ignore_list). Empty folders
// are no part of a release.
//
// Source   docs/getting-started.md, "What belongs to a release".
// Thread   any; reads files, so none of a shard's.
// Errors   a refusal that names the file: a link out of the folder, a socket, a device, too large …
// Called   by runtime/deployment (run, --watch, apply), the command line.
#pragma once

#include "cluster/digest.hpp"
#include "cluster/manifest.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace troupe::cluster {

struct folder_limits {
  std::size_t files = 10'000;
  std::uint64_t file_bytes = 64u << 20;
  std::uint64_t total_bytes = 512u << 20;
  std::size_t depth = 32;  ///< Folders in folders.
  int attempts = 5;        ///< How often the folder is read until it holds still.
};

/// Gets each content once or more (again when the folder changed); a refusal ends the reading.
using take_content =
    std::function<tl::expected<void, refusal>(const digest& name, std::string_view content)>;

/// @param folder  with or without a slash at its end.
[[nodiscard]] tl::expected<manifest, refusal> read_folder(const std::string& folder,
                                                          const folder_limits& limits,
                                                          const take_content& take);

}  // namespace troupe::cluster
