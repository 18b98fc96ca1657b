// SPDX-License-Identifier: Apache-2.0
//
// What a release needs of the runtime: features that not every version of troupe has, by name. A feature is
// a directive of troupe's own. They stand in the manifest, so that a node of an older version refuses the
// release before it loads anything, and says why.
//
// Thread   any.
// Called   read_app() by who makes a release of a folder: runtime/deployment, folder_push, commands/apply,
//          commands/push. unmet_need() by who prepares one: runtime/deployment, app_runner.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "cluster/manifest.hpp"
#include "troupe/diagnostic.hpp"

namespace troupe {

/// Of this version, sorted.
[[nodiscard]] std::span<const std::string_view> runtime_features() noexcept;

/// An app's folder as a manifest with its needs, which are those of all its files `*.conf`.
/// @param take  gets each content, as of cluster::read_folder().
[[nodiscard]] tl::expected<cluster::manifest, cluster::refusal> read_app(
    const std::string& folder,
    const std::function<tl::expected<void, cluster::refusal>(const cluster::digest& name,
                                                             std::string_view content)>& take);

/// Each content once, by its name.
using app_contents = std::map<cluster::digest, std::string>;

/// The same, the contents kept in memory to be sent. The refusal is a message for who gave the folder.
[[nodiscard]] tl::expected<cluster::manifest, diagnostic> read_app(const std::string& folder,
                                                                   app_contents& contents);

/// What this version lacks of a release's needs.
[[nodiscard]] std::optional<diagnostic> unmet_need(const cluster::manifest& files);

}  // namespace troupe
