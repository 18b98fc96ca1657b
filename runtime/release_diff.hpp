// SPDX-License-Identifier: Apache-2.0
//
// What differs between two releases, file by file.
//
// Source   docs/admin-api.md.
// Thread   any; reads contents: none of a shard's.
// Errors   a content that cannot be had.
// Called   by runtime/release_store, runtime/cluster_api.
#pragma once

#include "cluster/manifest.hpp"

#include <tl/expected.hpp>

#include <functional>
#include <string>
#include <vector>

namespace troupe {

struct file_diff {
  std::string path;
  cluster::file_change change = cluster::file_change::modified;
  bool binary = false;
  std::string text;  ///< Unified, or one line that says that it is binary or that the mode changed.
};

using content_source =
    std::function<tl::expected<std::string, cluster::refusal>(const cluster::digest& name)>;

/// By path.
[[nodiscard]] tl::expected<std::vector<file_diff>, cluster::refusal> diff_of(
    const cluster::manifest& before, const cluster::manifest& after, const content_source& get);

}  // namespace troupe
