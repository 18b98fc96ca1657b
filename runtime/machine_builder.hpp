// SPDX-License-Identifier: Apache-2.0
//
// Builds the VMs of a release, one for each shard, side by side on loader threads: makes the VM, compiles
// every chunk, runs init_by_lua.
//
// Source   "Releases" of docs/architecture.md.
// Thread   called by whoever loads, never a shard; it works on threads `load-N` of its own.
// Errors   diagnostics; of a release that fails nothing is kept.
// Called   by runtime/node.
#pragma once

#include <functional>
#include <memory>
#include <tl/expected.hpp>
#include <vector>

#include "actors/site.hpp"
#include "lua/thread_pool.hpp"
#include "lua/vm.hpp"
#include "runtime/spare_machines.hpp"
#include "troupe/diagnostic.hpp"

namespace troupe {

/// Compiles all chunks in a VM of its own, which is then thrown away.
diagnostics check_chunks(const actors::site& site);

/// The site has its dictionaries.
/// @param leave  stops the node gracefully; called on a shard's thread.
tl::expected<std::vector<std::unique_ptr<lua::vm>>, diagnostics> build_machines(
    const std::shared_ptr<const actors::site>& site, lua::thread_pools& pools, spare_machines& spare,
    unsigned shards, std::function<void()> leave = {});

/// "init_worker_by_lua error: TEXT", where it stands.
diagnostic start_problem(const lua::chunk_source& chunk, const std::string& error);

}  // namespace troupe
