// SPDX-License-Identifier: Apache-2.0
//
// A push from within a node: troupe.cluster.push of Lua and cluster_node::push(). What the command line
// does over the control socket, straight over the way that the node has.
//
// Source   docs/lua-api.md, "The cluster".
// Thread   one that may wait: reads the folder, sends, waits for the end.
// Called   by runtime/cluster_node.
#pragma once

#include "net/live_cluster.hpp"
#include "runtime/cluster_way.hpp"

#include <string>

namespace troupe {

/// @param author  for the history: "node b".
/// @return JSON: the last progress, or {"error":…,"reason":…}.
[[nodiscard]] std::string push_folder(cluster_way& way, const net::cluster_push& what,
                                      const std::string& key_folder, const std::string& author,
                                      const std::function<bool()>& goes_on);

}  // namespace troupe
