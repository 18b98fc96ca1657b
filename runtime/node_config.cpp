// SPDX-License-Identifier: Apache-2.0
#include "runtime/node_config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace troupe {
namespace {

net::config_type live_type(config_type type) {
  switch (type) {
    case config_type::string:
      return net::config_type::string;
    case config_type::number:
      return net::config_type::number;
    case config_type::boolean:
      return net::config_type::boolean;
    case config_type::table:
      return net::config_type::table;
  }
  return net::config_type::string;
}

}  // namespace

net::config_value to_live(const config_value& value, std::uint64_t version) {
  return {.type = live_type(value.type), .text = value.text, .version = version};
}

config_value config_from_text(std::string_view text) {
  // What JSON takes for a number is one; "007" and "0x10" are not, and stay strings.
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  config_value value{config_type::string, std::string(text)};
  if (parsed.is_discarded()) return value;
  if (parsed.is_number()) value.type = config_type::number;
  if (parsed.is_boolean()) value.type = config_type::boolean;
  if (parsed.is_structured()) value.type = config_type::table;
  return value;
}

tl::expected<config_value, diagnostic> config_from_text(std::string_view text,
                                                        std::string_view type) {
  if (type == "string") return config_value{config_type::string, std::string(text)};
  const config_value value = config_from_text(text);
  if (type.empty() || troupe::text(value.type) == type) return value;
  for (const config_type known : {config_type::number, config_type::boolean, config_type::table}) {
    if (troupe::text(known) == type) {
      return tl::unexpected(
          diagnostic{.reason = '"' + std::string(text) + "\" is no " + std::string(type),
                     .hint = "numbers, true, false and tables are written as in JSON"});
    }
  }
  return tl::unexpected(diagnostic{.reason = "unknown type \"" + std::string(type) + '"',
                                   .hint = "there are string, number, boolean and table"});
}

node_config::node_config(node& running, config_values& stored, audit_log& audit)
    : node_(running), stored_(stored), audit_(audit) {}

tl::expected<void, diagnostic> node_config::load(
    const std::map<std::string, std::string, std::less<>>& overriding) {
  const std::lock_guard lock(changing_);
  const auto entries = stored_.list();
  if (!entries) return tl::unexpected(entries.error());
  const auto version = stored_.version();
  if (!version) return tl::unexpected(version.error());
  net::config_map values;
  for (const config_entry& each : *entries) {
    values.insert_or_assign(each.key, to_live(each.value, each.version));
  }
  for (const auto& [key, text] : overriding) {
    const config_value value = config_from_text(text);
    if (auto problem = check_config(key, value)) return tl::unexpected(std::move(*problem));
    values.insert_or_assign(key, to_live(value, *version));
  }
  publish(*version, std::move(values));
  return {};
}

void node_config::publish(std::uint64_t version, net::config_map values) {
  {
    const std::lock_guard lock(mutex_);
    node_.config().replace(version, std::move(values));
  }
  changed_.notify_all();
  node_.tell_config_changed();
}

// One that only `--set` gave goes without a version on the disk, so that the disk's may lag behind.
std::uint64_t node_config::next_version(std::uint64_t on_disk) const {
  return std::max(on_disk, now()->version + 1);
}

tl::expected<std::uint64_t, diagnostic> node_config::set(const std::string& key,
                                                         const config_value& value,
                                                         const change_author& by) {
  const std::lock_guard lock(changing_);
  auto version = stored_.set(key, value, by.name, std::chrono::system_clock::now());
  if (version) {
    net::config_map values = now()->values;
    values.insert_or_assign(key, to_live(value, *version));
    publish(next_version(*version), std::move(values));
  }
  audit_.write("config set", key, by, version ? "done" : text(version.error()), node_.log());
  return version;
}

tl::expected<bool, diagnostic> node_config::unset(const std::string& key, const change_author& by) {
  const std::lock_guard lock(changing_);
  const auto version = stored_.unset(key, by.name, std::chrono::system_clock::now());
  if (!version) {
    audit_.write("config unset", key, by, text(version.error()), node_.log());
    return tl::unexpected(version.error());
  }
  net::config_map values = now()->values;
  const bool was_there = values.erase(key) > 0;
  if (*version || was_there) {
    publish(next_version(version->value_or(0)), std::move(values));
  }
  audit_.write("config unset", key, by, was_there ? "done" : "there was none", node_.log());
  return was_there;
}

std::shared_ptr<const net::live_config::snapshot> node_config::now() const {
  return node_.config().now();
}

std::uint64_t node_config::wait(std::uint64_t seen, std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return node_.config().version() != seen; });
  return node_.config().version();
}

}  // namespace troupe
