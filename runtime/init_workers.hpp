// SPDX-License-Identifier: Apache-2.0
//
// init_worker_by_lua of a release, on every shard, before it serves. One that has not ended within
// `lua_init_timeout` is ended, whether it waits or runs: the shard serves the release before.
//
// Source   docs/directives.md, lua_init_timeout; ngx_lua's README, init_worker_by_lua.
// Thread   a loader's; waits for the shards.
// Errors   what the first shard that failed says.
// Called   by runtime/node.
#pragma once

#include <tl/expected.hpp>

#include <memory>
#include <vector>

#include "actors/shard.hpp"
#include "actors/shard_release.hpp"
#include "troupe/diagnostic.hpp"

namespace troupe {

struct worker_place {
  actors::shard* home = nullptr;
  const bool* is_stopping = nullptr;  ///< Thread: shard.
  std::shared_ptr<actors::shard_release> release;
};

[[nodiscard]] tl::expected<void, diagnostics> run_init_workers(std::vector<worker_place> places,
                                                               const actors::site& site);

}  // namespace troupe
