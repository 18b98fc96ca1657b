// SPDX-License-Identifier: Apache-2.0
//
// Makes a release ready to serve, away from the shards: reads and checks the configuration, builds a
// VM for each shard, compiles every chunk and runs init_by_lua.
//
// Source   "Releases" of docs/architecture.md.
// Thread   loader: whoever calls, but never a shard.
// Errors   diagnostics; nothing of a release that fails is kept.
// Called   by runtime/node.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "actors/shard_release.hpp"
#include "lua/shared_dict.hpp"
#include "runtime/log_file.hpp"
#include "troupe/node.hpp"

namespace troupe {

/// The dictionaries of a node: they outlive releases.
class dictionaries {
public:
  /// The dictionary of that name; made anew if its size has changed.
  lua::shared_dict& get(const std::string& name, std::size_t capacity);

private:
  std::vector<std::unique_ptr<lua::shared_dict>> all_;
};

struct loaded_configuration {
  std::shared_ptr<actors::site> site;
  process_settings process;
  std::vector<conf_file> files;
  diagnostics warnings;
};

/// Reads and checks the configuration of an app; opens its log files and nothing else.
tl::expected<loaded_configuration, diagnostics> load_configuration(const node_options& options,
                                                                   log_files& files);

/// Compiles all chunks in a VM of its own, which is then thrown away.
diagnostics check_chunks(const actors::site& site);

/// A VM for each shard, with every chunk compiled and init_by_lua run.
/// @param leave  stops the node gracefully; called on a shard's thread.
tl::expected<std::vector<std::unique_ptr<lua::vm>>, diagnostics> build_machines(
    const std::shared_ptr<const actors::site>& site, dictionaries& dicts,
    lua::thread_pools& pools, unsigned shards, const std::function<void()>& leave = {});

}  // namespace troupe
