// SPDX-License-Identifier: Apache-2.0
//
// The way to a cluster straight over a link to a node that binds (a controller or a relay), with the
// tools' key of the user's key folder. It is no node: it subscribes to nothing and says no hello.
//
// Source   docs/cluster.md, "Links" and "Security".
// Thread   one at a time; the sockets have a thread of their own.
// Errors   as cluster_way; open_link(): no key for the address, nobody there.
// Called   by runtime/commands/node_call.
#pragma once

#include "runtime/cluster_way.hpp"
#include "troupe/diagnostic.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace troupe {

/// @param address  host:port, the port of requests.
[[nodiscard]] tl::expected<std::unique_ptr<cluster_way>, diagnostic> open_link(
    const std::string& address, const std::string& key_folder,
    std::optional<std::chrono::steady_clock::time_point> deadline);

}  // namespace troupe
