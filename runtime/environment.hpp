// SPDX-License-Identifier: Apache-2.0
//
// `env`: what of the environment that the process was started with is kept, and what is set. As in
// nginx, programs that scripts start have that of the first configuration; os.getenv that of its own
// release.
//
// Source   https://nginx.org/en/docs/ngx_core_module.html#env
// Thread   filter_environment(): main, before a second thread exists; the rest any.
// Called   by runtime/process and runtime/machine_builder.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lua/environment.hpp"

namespace troupe {

/// Those of `env`, in their order; without a value: as the process was started.
using environment_entries = std::vector<std::pair<std::string, std::optional<std::string>>>;

/// Only what is named survives, TZ, which the log's times need, and where Lua looks for modules.
void filter_environment(const environment_entries& entries);

/// For the VMs of a release with these. Whole where filter_environment() was called; an embedding
/// program's own stays visible.
[[nodiscard]] lua::environment environment_of(const environment_entries& entries);

}  // namespace troupe
