// SPDX-License-Identifier: Apache-2.0
//
// The config values of a running node: on the disk and, through net/live_config, before the eyes of
// all shards. A change is written first, then seen, then told to those who watch.
//
// Source   docs/admin-api.md, "Config values".
// Thread   any but a shard's; changes exclude each other.
// Errors   diagnostics; on a failure nothing has changed.
// Called   by runtime/admin_api, runtime/commands/run.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "net/live_config.hpp"
#include "runtime/audit_log.hpp"
#include "runtime/config_values.hpp"
#include "troupe/diagnostic.hpp"
#include "troupe/node.hpp"

namespace troupe {

class node_config {
 public:
  node_config(node& running, config_values& stored, audit_log& audit);

  /// What is on the disk, and over it what `--set` says, which is not written.
  [[nodiscard]] tl::expected<void, diagnostic> load(
      const std::map<std::string, std::string, std::less<>>& overriding);

  /// @return the version.
  [[nodiscard]] tl::expected<std::uint64_t, diagnostic> set(const std::string& key,
                                                            const config_value& value,
                                                            const change_author& by);
  /// @return false: there was no such value.
  [[nodiscard]] tl::expected<bool, diagnostic> unset(const std::string& key,
                                                     const change_author& by);

  [[nodiscard]] std::shared_ptr<const net::live_config::snapshot> now() const;
  /// Waits until the version is another than `seen`, at most for so long. @return the version.
  std::uint64_t wait(std::uint64_t seen, std::chrono::milliseconds limit);

 private:
  void publish(std::uint64_t version, net::config_map values);
  [[nodiscard]] std::uint64_t next_version(std::uint64_t on_disk) const;

  node& node_;
  config_values& stored_;
  audit_log& audit_;
  std::mutex changing_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// As scripts see it.
[[nodiscard]] net::config_value to_live(const config_value& value, std::uint64_t version);

/// A value as people write it: a number, true, false, a JSON object or array are that; all else is
/// a string.
[[nodiscard]] config_value config_from_text(std::string_view text);
/// The same where the type was said. The error says what is wrong with the text.
[[nodiscard]] tl::expected<config_value, diagnostic> config_from_text(std::string_view text,
                                                                      std::string_view type);

}  // namespace troupe
