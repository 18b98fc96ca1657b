// SPDX-License-Identifier: Apache-2.0
//
// The control socket's config values: /v1/config and /v1/config/KEY.
#include <nlohmann/json.hpp>

#include "runtime/admin_api.hpp"
#include "runtime/admin_reply.hpp"
#include "runtime/node_config.hpp"
#include "runtime/time_text.hpp"

namespace troupe {
namespace {

using json = nlohmann::ordered_json;

std::string_view type_name(net::config_type type) {
  switch (type) {
    case net::config_type::string:
      return "string";
    case net::config_type::number:
      return "number";
    case net::config_type::boolean:
      return "boolean";
    case net::config_type::table:
      return "table";
  }
  return "string";
}

json json_of(const net::config_value& value) {
  if (value.type == net::config_type::string) return value.text;
  return json::parse(value.text, nullptr, false);
}

json json_of(const std::string& key, const net::config_value& value) {
  return {{"key", key},
          {"value", json_of(value)},
          {"type", type_name(value.type)},
          {"version", value.version}};
}

}  // namespace

admin_response admin_api::list_config(const admin_request& asked) const {
  if (!asked.parameter("watch").empty()) return follow_config(asked);
  if (!asked.parameter("history").empty()) return config_history(asked);
  const auto stored = parts_.store.config().list(asked.parameter("prefix"));
  if (!stored) return storage_failed(stored.error());
  const auto now = parts_.config.now();
  json body = json::array();
  for (const auto& [key, value] : now->values) {
    if (!key.starts_with(asked.parameter("prefix"))) continue;
    json entry = json_of(key, value);
    // One that `--set` gave has neither.
    entry["time"] = nullptr;
    entry["author"] = nullptr;
    for (const config_entry& each : *stored) {
      if (each.key != key || each.version != value.version) continue;
      entry["time"] = time_text(each.time);
      entry["author"] = each.author;
    }
    body.push_back(std::move(entry));
  }
  return reply(body);
}

// All changes that are kept, the newest first.
admin_response admin_api::config_history(const admin_request& asked) const {
  const auto changes =
      parts_.store.config().history(asked.parameter("key"), config_values::max_history);
  if (!changes) return storage_failed(changes.error());
  json body = json::array();
  for (const config_change& each : *changes) {
    json entry{{"key", each.key}, {"value", nullptr}, {"type", nullptr}, {"version", each.version}};
    if (each.value) entry = json_of(each.key, to_live(*each.value, each.version));
    entry["time"] = time_text(each.time);
    entry["author"] = each.author;
    body.push_back(std::move(entry));
  }
  return reply(body);
}

// What has changed since the request, a line a change; {"key":…,"value":null} for one that is gone.
admin_response admin_api::follow_config(const admin_request& asked) const {
  return {.stream = [this, prefix = std::string(asked.parameter("prefix")),
                     before = parts_.config.now()](const admin_lines& send) mutable {
    while (send("")) {
      parts_.config.wait(before->version, std::chrono::milliseconds(200));
      const auto now = parts_.config.now();
      if (now->version == before->version) continue;
      for (const auto& [key, value] : now->values) {
        const auto old = before->values.find(key);
        const bool differs = old == before->values.end() || old->second.version != value.version;
        if (differs && key.starts_with(prefix) && !send(json_line(json_of(key, value)))) return;
      }
      for (const auto& [key, value] : before->values) {
        if (now->values.contains(key) || !key.starts_with(prefix)) continue;
        const json gone{
            {"key", key}, {"value", nullptr}, {"type", nullptr}, {"version", now->version}};
        if (!send(json_line(gone))) return;
      }
      before = now;
    }
  }};
}

admin_response admin_api::config(const admin_request& asked, std::string_view name) const {
  const std::string key(name);
  auto no_value = [&] {
    return refusal(404, "unknown_key", "there is no value \"" + key + '"',
                   "`troupe config list` shows those that there are");
  };
  if (asked.method == "GET") {
    const auto now = parts_.config.now();
    const auto found = now->values.find(key);
    return found == now->values.end() ? no_value() : reply(json_of(key, found->second));
  }
  if (asked.method == "PUT") {
    const auto value = config_from_text(asked.body, asked.parameter("type"));
    if (!value) return refusal(422, "bad_value", text(value.error()), value.error().hint);
    if (const auto problem = check_config(key, *value)) {
      return refusal(422, "bad_value", text(*problem), problem->hint);
    }
    const auto version = parts_.config.set(key, *value, author_of(asked));
    if (!version) return storage_failed(version.error());
    const auto now = parts_.config.now();
    const auto found = now->values.find(key);
    return found == now->values.end() ? no_value() : reply(json_of(key, found->second));
  }
  if (asked.method == "DELETE") {
    const auto was_there = parts_.config.unset(key, author_of(asked));
    if (!was_there) return storage_failed(was_there.error());
    return *was_there ? reply({{"key", key}, {"version", parts_.config.now()->version}})
                      : no_value();
  }
  return refusal(405, "bad_method", asked.method + " is not for config values");
}

}  // namespace troupe
