// SPDX-License-Identifier: Apache-2.0
//
// The key of a folder that signs a user's orders.
//
// Source   docs/cluster.md, "Security".
// Thread   any; reads files.
// Errors   a key that is there and cannot be used: a refusal.
// Called   by runtime/commands, runtime/cluster_node.
#pragma once

#include "cluster/signing_key.hpp"

#include <optional>
#include <string>

namespace troupe {

/// FOLDER/signing.key; none if there is no such file.
[[nodiscard]] tl::expected<std::optional<cluster::signing_key>, cluster::refusal> signing_key_in(
    const std::string& folder);

}  // namespace troupe
