// SPDX-License-Identifier: Apache-2.0
//
// The config values of a node: small, typed values that change while it runs, without a release. In
// nginx.conf `$config_KEY`, in Lua troupe.config.get(KEY).
//
// Readers ask for the version, one atomic load, and take the whole only when it has moved: so a
// change is visible to all shards at once and costs readers nothing.
//
// Source   docs/lua-api.md, "Config values".
// Thread   any; replace(): one at a time.
// Memory   a snapshot lives as long as somebody holds it.
// Called   by net/variables, lua/api/config; filled by runtime/node_config.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::net {

enum class config_type : std::uint8_t { string, number, boolean, table };

struct config_value {
  config_type type = config_type::string;
  std::string text;           ///< The bytes; a decimal number; true or false; JSON.
  std::uint64_t version = 0;  ///< Of its last change: each change of a node has a number.
};

using config_map = std::map<std::string, config_value, std::less<>>;

class live_config {
 public:
  struct snapshot {
    std::uint64_t version = 0;
    config_map values;
    /// As variables are called: "limits.rate" is found as "limits_rate".
    std::map<std::string, config_map::const_iterator, std::less<>> by_variable;
  };

  /// Moves with each change; 0: there was none.
  [[nodiscard]] std::uint64_t version() const noexcept {
    return version_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::shared_ptr<const snapshot> now() const;

  void replace(std::uint64_t version, config_map values);

 private:
  std::atomic<std::uint64_t> version_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const snapshot> now_ = std::make_shared<const snapshot>();
};

/// The name of a key as a variable: lower case, `_` for all but letters and digits.
std::string config_variable(std::string_view key);

}  // namespace troupe::net
