// SPDX-License-Identifier: Apache-2.0
//
// Config values on the disk: what `troupe config set` changes without a release. Each change has a
// version (1, 2, …, of the whole, never given twice) and stays in the history.
//
// Source   docs/getting-started.md.
// Thread   any; the release store's mutex.
// Errors   diagnostics; on a failure nothing has changed. Each change is durable when it returns.
// Called   by runtime/deployment and the control socket. Made by runtime/release_store.
#pragma once

#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class database;

enum class config_type { string = 1, number, boolean, table };
std::string_view text(config_type type) noexcept;  ///< "string", "number", "boolean", "table".

struct config_value {
  config_type type = config_type::string;
  std::string text;  ///< The bytes; a decimal number; true or false; JSON (an object or array).
  bool operator==(const config_value&) const = default;
};

struct config_entry {
  std::string key;
  config_value value;
  std::uint64_t version = 0;  ///< Of its last change.
  std::chrono::system_clock::time_point time;
  std::string author;
};

struct config_change {
  std::uint64_t version = 0;
  std::string key;
  std::optional<config_value> value;  ///< None: unset.
  std::chrono::system_clock::time_point time;
  std::string author;
};

class config_values {
 public:
  static constexpr std::size_t max_key_bytes = 255;
  static constexpr std::size_t max_value_bytes = 1u << 20;
  static constexpr std::size_t max_history = 10'000;  ///< Older changes are forgotten.
  using time_point = std::chrono::system_clock::time_point;

  explicit config_values(std::shared_ptr<database> data);

  [[nodiscard]] tl::expected<std::optional<config_entry>, diagnostic> get(
      std::string_view key) const;
  /// @return the new version. The value it has already is set again and is a change, too.
  [[nodiscard]] tl::expected<std::uint64_t, diagnostic> set(std::string_view key,
                                                            const config_value& value,
                                                            std::string_view author,
                                                            time_point time);
  /// @return the new version; none if there was no such value.
  [[nodiscard]] tl::expected<std::optional<std::uint64_t>, diagnostic> unset(
      std::string_view key, std::string_view author, time_point time);
  /// By key, those that begin with the prefix.
  [[nodiscard]] tl::expected<std::vector<config_entry>, diagnostic> list(
      std::string_view prefix = {}) const;
  /// The newest first, of one key or (empty) of all.
  [[nodiscard]] tl::expected<std::vector<config_change>, diagnostic> history(
      std::string_view key = {}, std::size_t limit = 100) const;
  /// The version of the last change; 0: none yet.
  [[nodiscard]] tl::expected<std::uint64_t, diagnostic> version() const;

 private:
  std::shared_ptr<database> data_;
};

/// As a cluster's orders carry it: the type's number as a digit, then the text.
[[nodiscard]] std::string encode_config(const config_value& value);
[[nodiscard]] std::optional<config_value> decode_config(std::string_view bytes);

/// Why this key or value cannot be, or nothing.
std::optional<diagnostic> check_config_key(std::string_view key);
std::optional<diagnostic> check_config(std::string_view key, const config_value& value);

}  // namespace troupe
