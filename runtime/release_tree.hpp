// SPDX-License-Identifier: Apache-2.0
//
// A release's files laid out as a folder, by hard links to their contents: what a release's
// relative paths are resolved in. A content that did not change keeps its inode and time from one
// release to the next. Trees are caches: whatever is wrong in one is repaired from the contents.
//
// Source   docs/architecture.md, "Releases as bytes".
// Thread   any; one call at a time for a folder.
// Errors   refusals that name the file. A tree appears whole or not at all.
// Called   by runtime/release_store.
#pragma once

#include "cluster/blob_store.hpp"
#include "cluster/disk.hpp"
#include "cluster/manifest.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <string>

namespace troupe {

/// What the tree of this manifest is called.
[[nodiscard]] std::string tree_name(const cluster::digest& manifest);

/// Makes TREES/NAME of the manifest, or repairs it. @return its path, a slash at its end.
[[nodiscard]] tl::expected<std::string, cluster::refusal> lay_out_tree(
    const cluster::disk& files, const cluster::blob_store& contents,
    const cluster::manifest& wanted, const std::string& trees);

/// The suffixes of trees that are being made and removed; one that is found at a start is nobody's.
inline constexpr std::string_view unfinished_tree_suffix = ".new";
inline constexpr std::string_view doomed_tree_suffix = ".gone";

}  // namespace troupe
