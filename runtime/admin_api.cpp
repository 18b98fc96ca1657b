// SPDX-License-Identifier: Apache-2.0
#include "runtime/admin_api.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "runtime/admin_reply.hpp"
#include "runtime/admin_upgrade.hpp"
#include "runtime/resident_bytes.hpp"
#include "runtime/versions.hpp"

namespace troupe {
namespace {

using json = nlohmann::ordered_json;

}  // namespace

admin_response admin_api::answer(const admin_request& asked) const {
  const std::string_view path = asked.path;
  const bool gets = asked.method == "GET";
  const bool posts = asked.method == "POST";
  constexpr std::string_view release_prefix = "/v1/releases/";
  constexpr std::string_view config_prefix = "/v1/config/";
  if (path == "/v1/status" && gets) return status(asked);
  if (path == "/v1/upgrade" && posts) return hand_over(parts_.upgrading, asked);
  std::shared_lock<std::shared_mutex> change;
  if (!gets && parts_.upgrading != nullptr) {
    change = parts_.upgrading->change();
    if (!change) {
      return stopping();
    }
  }
  if (parts_.releases == nullptr && !path.starts_with("/v1/config")) {
    return refusal(409, "no_releases", "the node serves a conf file in place and has no releases");
  }
  if (path == "/v1/releases" && gets) return list_releases(asked);
  if (path == "/v1/releases" && posts) return apply(asked);
  if (path == "/v1/contents/missing" && posts) return missing_contents(asked);
  if (path == "/v1/rollback" && posts) return rollback(asked);
  if (path == "/v1/diff" && gets) return diff(asked);
  if (path == "/v1/config" && gets) return list_config(asked);
  if (path.starts_with(config_prefix)) return config(asked, path.substr(config_prefix.size()));
  if (path.starts_with(release_prefix) && gets) {
    return show_release(asked, path.substr(release_prefix.size()));
  }
  for (const std::string_view known : {"/v1/status", "/v1/releases", "/v1/contents/missing",
                                       "/v1/rollback", "/v1/diff", "/v1/config", "/v1/upgrade"}) {
    if (path == known)
      return refusal(405, "bad_method", asked.method + " is not for " + asked.path);
  }
  return refusal(404, "unknown_path", "there is no " + asked.path + ": see docs/admin-api.md");
}

admin_response admin_api::status(const admin_request&) const {
  const node_load load = parts_.running.load_now();
  const auto active = parts_.store.active();
  json body{{"name", parts_.name}, {"version", troupe_version()}, {"pid", getpid()}};
  const bool has_release = active && *active;
  body["release"] = has_release ? json((*active)->number) : json();
  body["digest"] = has_release ? json((*active)->digest.text()) : json();
  body["listeners"] = json::array();
  for (const listener_info& each : parts_.running.listeners()) {
    body["listeners"].push_back({{"address", each.address}, {"protocol", each.protocol}});
  }
  body["shards"] = load.shards;
  body["connections"] = {{"active", load.connections}, {"idle", load.idle}};
  body["requests"] = load.requests;
  body["memory"] = {{"rss_bytes", resident_bytes()}, {"lua_bytes", load.lua_bytes}};
  return reply(body);
}

}  // namespace troupe
