// SPDX-License-Identifier: Apache-2.0
//
// A cluster as JSON: its nodes, releases, config values, how an order goes. Names are stable, new ones
// may be added.
//
// Source   docs/admin-api.md, "A node of a cluster".
// Thread   any.
// Called   by runtime/cluster_api.
#pragma once

#include "cluster/cluster_state.hpp"
#include "cluster/messages.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace troupe {

using cluster_json = nlohmann::ordered_json;

/// The app that is meant: the one asked for; else `default`, or the only one there is.
[[nodiscard]] std::string app_of(const cluster::cluster_state& state, std::string_view asked);

/// {"id":…,"done":…,"release":…,"digest":…,"state":…,"nodes":[…]}, of a refused one also "error",
/// "reason" and, where it names a place, "file" and "line". Of one that is done, nodes are `active`,
/// `refused`, `unreachable` or `behind`: what is aborted is active nowhere.
[[nodiscard]] cluster_json json_of(const cluster::progress& how);
/// The same of an order of which only the outcome is known.
[[nodiscard]] cluster_json json_of(const cluster::push_record& push, const std::string& app,
                                   const cluster::cluster_state& state);
[[nodiscard]] cluster_json json_of_nodes(const cluster::query_answer& answer,
                                         const cluster::cluster_state& state,
                                         const std::string& app);
/// Without "changed" and what only a node knows.
[[nodiscard]] cluster_json json_of(const cluster::release_info& release,
                                   const cluster::app_state& of);
/// A node's own config value, of its `--set`: nobody set it in the cluster.
[[nodiscard]] cluster_json json_of_own(const std::string& key, const std::string& given);
/// A config value; `scope` null: for everyone.
[[nodiscard]] cluster_json json_of(const std::string& key, const cluster::scoped_value& value);

}  // namespace troupe
