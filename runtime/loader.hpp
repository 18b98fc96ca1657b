// SPDX-License-Identifier: Apache-2.0
//
// Reads a release's configuration and checks it whole: what it means, without anything that runs.
//
// Source   "Releases" of docs/architecture.md.
// Thread   whoever loads, but never a shard.
// Errors   diagnostics; files of a release are named by their place in it (`lua/a.lua:3`).
// Called   by runtime/node.
#pragma once

#include <functional>
#include <memory>
#include <tl/expected.hpp>
#include <vector>

#include "actors/site.hpp"
#include "runtime/log_file.hpp"
#include "troupe/node.hpp"

namespace troupe {

struct loaded_configuration {
  std::shared_ptr<actors::site> site;
  process_settings process;
  std::vector<conf_file> files;
  diagnostics warnings;
};

/// Absolute paths; folders end in a slash.
release_source with_whole_paths(release_source source);
/// Where a node's options say that its app is.
tl::expected<release_source, diagnostics> source_of(const node_options& options);

/// Opens log files and nothing else.
/// @param config  the node's config values, which outlive the release; null: none.
tl::expected<loaded_configuration, diagnostics> load_configuration(
    const release_source& from, const node_options& options, log_files& files,
    const net::live_config* config = nullptr);

/// Files of a release that is known by content are named relative to it.
void name_by_prefix(diagnostics& problems, const release_source& source);

}  // namespace troupe
