// SPDX-License-Identifier: Apache-2.0
#include "runtime/config_values.hpp"

#include "runtime/database.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <mutex>
#include <utility>

namespace troupe {
namespace {

std::int64_t to_milliseconds(config_values::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

config_values::time_point to_time(std::int64_t milliseconds) {
  return config_values::time_point(std::chrono::milliseconds(milliseconds));
}

bool is_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && std::isfinite(value);
}

bool is_key(std::string_view key) {
  return !key.empty() && key.size() <= config_values::max_key_bytes &&
         std::ranges::all_of(key, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.' || c == ':' || c == '/';
         });
}

config_value value_at(const database::rows& row, int column) {
  return {.type = static_cast<config_type>(row.integer(column)), .text = row.text(column + 1)};
}

config_entry entry_of(const database::rows& row) {
  return {.key = row.text(0),
          .value = value_at(row, 1),
          .version = static_cast<std::uint64_t>(row.integer(3)),
          .time = to_time(row.integer(4)),
          .author = row.text(5)};
}

/// The version of a change that is being made.
tl::expected<std::int64_t, diagnostic> next_version(database& data) {
  auto row = data.query(
      "UPDATE state SET config_version = config_version + 1 "
      "RETURNING config_version");
  if (!row) return tl::unexpected(std::move(row.error()));
  if (auto there = row->next(); !there) return tl::unexpected(std::move(there.error()));
  const std::int64_t version = row->integer(0);
  // To its end, or it is no whole statement.
  if (auto end = row->next(); !end) return tl::unexpected(std::move(end.error()));
  return version;
}

tl::expected<void, diagnostic> forget_old(database& data, std::int64_t version) {
  return data.run("DELETE FROM config_history WHERE version <= ?1",
                  version - static_cast<std::int64_t>(config_values::max_history));
}

}  // namespace

std::string_view text(config_type type) noexcept {
  switch (type) {
    case config_type::string:
      return "string";
    case config_type::number:
      return "number";
    case config_type::boolean:
      return "boolean";
    case config_type::table:
      return "table";
  }
  return "";
}

std::string encode_config(const config_value& value) {
  return static_cast<char>('0' + static_cast<int>(value.type)) + value.text;
}

std::optional<config_value> decode_config(std::string_view bytes) {
  if (bytes.empty() || bytes[0] < '1' || bytes[0] > '4') return std::nullopt;
  return config_value{static_cast<config_type>(bytes[0] - '0'), std::string(bytes.substr(1))};
}

std::optional<diagnostic> check_config_key(std::string_view key) {
  if (is_key(key)) return std::nullopt;
  return diagnostic{.reason = '"' + std::string(key) + "\" is no key for a config value",
                    .hint = "1 to 255 letters, digits and _ - . : /"};
}

std::optional<diagnostic> check_config(std::string_view key, const config_value& value) {
  if (auto wrong = check_config_key(key)) return wrong;
  const std::string name = "config value " + std::string(key);
  if (value.text.size() > config_values::max_value_bytes) {
    return diagnostic{.reason = name + " has more than " +
                                std::to_string(config_values::max_value_bytes) + " bytes"};
  }
  if (value.type == config_type::number && !is_number(value.text)) {
    return diagnostic{.reason = name + " is no number"};
  }
  if (value.type == config_type::boolean && value.text != "true" && value.text != "false") {
    return diagnostic{.reason = name + " is neither true nor false"};
  }
  return std::nullopt;
}

config_values::config_values(std::shared_ptr<database> data) : data_(std::move(data)) {}

tl::expected<std::optional<config_entry>, diagnostic> config_values::get(
    std::string_view key) const {
  const std::lock_guard guard(data_->lock());
  auto row = data_->query(
      "SELECT key, type, value, version, time, author FROM config WHERE key = ?1", key);
  if (!row) return tl::unexpected(std::move(row.error()));
  auto there = row->next();
  if (!there) return tl::unexpected(std::move(there.error()));
  if (!*there) return std::nullopt;
  return entry_of(*row);
}

tl::expected<std::uint64_t, diagnostic> config_values::set(std::string_view key,
                                                           const config_value& value,
                                                           std::string_view author,
                                                           time_point time) {
  if (auto bad = check_config(key, value)) return tl::unexpected(*std::move(bad));
  const std::lock_guard guard(data_->lock());
  const auto change = [&]() -> tl::expected<std::uint64_t, diagnostic> {
    if (value.type == config_type::table) {
      auto row = data_->query(
          "SELECT json_valid(?1) AND "
          "CASE WHEN json_valid(?1) THEN json_type(?1) IN ('object', 'array') END",
          std::string_view(value.text));
      if (!row) return tl::unexpected(std::move(row.error()));
      if (auto there = row->next(); !there) return tl::unexpected(std::move(there.error()));
      if (row->integer(0) == 0) {
        return tl::unexpected(diagnostic{.reason = "config value " + std::string(key) +
                                                   " is no JSON object or array"});
      }
    }
    auto changing = database::transaction::begin(*data_);
    if (!changing) return tl::unexpected(std::move(changing.error()));
    auto version = next_version(*data_);
    if (!version) return tl::unexpected(std::move(version.error()));
    const auto type = static_cast<std::int64_t>(value.type);
    const std::int64_t milliseconds = to_milliseconds(time);
    // As a blob: a string may have any bytes.
    auto done = data_->run(
        "INSERT OR REPLACE INTO config (key, type, value, version, time, author) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        key, type, database::blob{value.text}, *version, milliseconds, author);
    if (!done) return tl::unexpected(std::move(done.error()));
    done = data_->run(
        "INSERT INTO config_history (version, key, type, value, time, author) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        *version, key, type, database::blob{value.text}, milliseconds, author);
    if (!done) return tl::unexpected(std::move(done.error()));
    if (done = forget_old(*data_, *version); !done) return tl::unexpected(std::move(done.error()));
    if (done = changing->commit(); !done) return tl::unexpected(std::move(done.error()));
    return static_cast<std::uint64_t>(*version);
  };
  auto result = change();
  if (!result && !result.error().file.empty()) {
    result.error().reason = "config set " + std::string(key) + ": " + result.error().reason;
  }
  return result;
}

tl::expected<std::optional<std::uint64_t>, diagnostic> config_values::unset(std::string_view key,
                                                                            std::string_view author,
                                                                            time_point time) {
  const std::lock_guard guard(data_->lock());
  auto changing = database::transaction::begin(*data_);
  if (!changing) return tl::unexpected(std::move(changing.error()));
  {
    auto row = data_->query("DELETE FROM config WHERE key = ?1 RETURNING version", key);
    if (!row) return tl::unexpected(std::move(row.error()));
    auto there = row->next();
    if (!there) return tl::unexpected(std::move(there.error()));
    if (!*there) return std::nullopt;
    if (auto end = row->next(); !end) return tl::unexpected(std::move(end.error()));
  }
  auto version = next_version(*data_);
  if (!version) return tl::unexpected(std::move(version.error()));
  auto done = data_->run(
      "INSERT INTO config_history (version, key, type, value, time, author) "
      "VALUES (?1, ?2, NULL, NULL, ?3, ?4)",
      *version, key, to_milliseconds(time), author);
  if (!done) return tl::unexpected(std::move(done.error()));
  if (done = forget_old(*data_, *version); !done) return tl::unexpected(std::move(done.error()));
  if (done = changing->commit(); !done) return tl::unexpected(std::move(done.error()));
  return static_cast<std::uint64_t>(*version);
}

tl::expected<std::vector<config_entry>, diagnostic> config_values::list(
    std::string_view prefix) const {
  const std::lock_guard guard(data_->lock());
  auto row = data_->query(
      "SELECT key, type, value, version, time, author FROM config "
      "WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key",
      prefix);
  if (!row) return tl::unexpected(std::move(row.error()));
  std::vector<config_entry> result;
  while (true) {
    auto there = row->next();
    if (!there) return tl::unexpected(std::move(there.error()));
    if (!*there) return result;
    result.push_back(entry_of(*row));
  }
}

tl::expected<std::vector<config_change>, diagnostic> config_values::history(
    std::string_view key, std::size_t limit) const {
  const std::lock_guard guard(data_->lock());
  auto row = data_->query(
      "SELECT version, key, type, value, time, author FROM config_history "
      "WHERE ?1 = '' OR key = ?1 ORDER BY version DESC LIMIT ?2",
      key, static_cast<std::int64_t>(std::min<std::size_t>(limit, max_history)));
  if (!row) return tl::unexpected(std::move(row.error()));
  std::vector<config_change> result;
  while (true) {
    auto there = row->next();
    if (!there) return tl::unexpected(std::move(there.error()));
    if (!*there) return result;
    config_change change{.version = static_cast<std::uint64_t>(row->integer(0)),
                         .key = row->text(1),
                         .time = to_time(row->integer(4)),
                         .author = row->text(5)};
    if (!row->is_null(2)) change.value = value_at(*row, 2);
    result.push_back(std::move(change));
  }
}

tl::expected<std::uint64_t, diagnostic> config_values::version() const {
  const std::lock_guard guard(data_->lock());
  auto row = data_->query("SELECT config_version FROM state");
  if (!row) return tl::unexpected(std::move(row.error()));
  if (auto there = row->next(); !there) return tl::unexpected(std::move(there.error()));
  return static_cast<std::uint64_t>(row->integer(0));
}

}  // namespace troupe
