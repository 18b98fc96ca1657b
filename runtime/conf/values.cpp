// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/values.hpp"

#include <algorithm>
#include <limits>

namespace troupe::conf {
namespace {

constexpr auto most = std::numeric_limits<std::int64_t>::max();

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

/// value * scale + total, or nothing if that is too much.
std::optional<std::int64_t> sum(std::int64_t total, std::int64_t value, std::int64_t scale) {
  std::int64_t scaled = 0, result = 0;
  if (__builtin_mul_overflow(value, scale, &scaled)) return std::nullopt;
  if (__builtin_add_overflow(total, scaled, &result)) return std::nullopt;
  return result;
}

struct unit {
  int rank;  ///< Units must come in falling size.
  std::int64_t seconds;
};

std::optional<unit> unit_of(char c) {
  constexpr std::int64_t minute = 60, hour = 60 * minute, day = 24 * hour;
  switch (c) {
    case 'y':
      return unit{1, 365 * day};
    case 'M':
      return unit{2, 30 * day};
    case 'w':
      return unit{3, 7 * day};
    case 'd':
      return unit{4, day};
    case 'h':
      return unit{5, hour};
    case 'm':
      return unit{6, minute};
    case 's':
      return unit{7, 1};
    case ' ':
      return unit{9, 1};  // a bare number of seconds, before something else
    default:
      return std::nullopt;
  }
}

/// In seconds or milliseconds. Months and years are for seconds only, as nginx's milliseconds once
/// had to fit into 32 bits.
std::optional<std::int64_t> duration_in(std::string_view text, bool in_seconds) {
  constexpr int milliseconds_rank = 8, seconds_rank = 7;
  const std::int64_t per_second = in_seconds ? 1 : 1000;
  int rank = in_seconds ? 0 : 2;
  std::int64_t total = 0, value = 0;
  bool any_digit = false;
  for (std::size_t i = 0; i < text.size();) {
    if (is_digit(text[i])) {
      const auto next = sum(text[i++] - '0', value, 10);
      if (!next) return std::nullopt;
      value = *next;
      any_digit = true;
      continue;
    }
    std::int64_t scale = 0;
    if (text.substr(i).starts_with("ms")) {
      if (in_seconds || rank >= milliseconds_rank) return std::nullopt;
      rank = milliseconds_rank;
      scale = 1;
      i += 2;
    } else {
      const auto each = unit_of(text[i++]);
      if (!each || rank >= std::min(each->rank, seconds_rank)) return std::nullopt;
      rank = each->rank;
      scale = each->seconds * per_second;
    }
    const auto next = sum(total, value, scale);
    if (!next) return std::nullopt;
    total = *next;
    value = 0;
    while (i < text.size() && text[i] == ' ') ++i;
  }
  if (!any_digit) return std::nullopt;
  return sum(total, value, per_second);
}

std::string invalid(std::string_view directive, std::string_view what) {
  return "\"" + std::string(directive) + "\" directive invalid " + std::string(what);
}

}  // namespace

std::optional<std::int64_t> number_in(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const auto next = sum(c - '0', value, 10);
    if (!next) return std::nullopt;
    value = *next;
  }
  return value;
}

std::optional<std::int64_t> size_in(std::string_view text) noexcept {
  std::int64_t scale = 1;
  switch (text.empty() ? '\0' : lower(text.back())) {
    case 'k':
      scale = std::int64_t{1} << 10;
      break;
    case 'm':
      scale = std::int64_t{1} << 20;
      break;
    case 'g':
      scale = std::int64_t{1} << 30;
      break;
    default:
      break;
  }
  if (scale != 1) text.remove_suffix(1);
  const auto value = number_in(text);
  if (!value || *value > most / scale) return std::nullopt;
  return *value * scale;
}

std::optional<std::chrono::milliseconds> time_in(std::string_view text) noexcept {
  const auto value = duration_in(text, false);
  if (!value) return std::nullopt;
  return std::chrono::milliseconds(*value);
}

std::optional<std::chrono::seconds> seconds_in(std::string_view text) noexcept {
  const auto value = duration_in(text, true);
  if (!value) return std::nullopt;
  return std::chrono::seconds(*value);
}

value_of<std::int64_t> parse_size(std::string_view directive, std::string_view text) {
  if (const auto size = size_in(text)) return *size;
  return tl::unexpected(invalid(directive, "value"));
}

value_of<std::chrono::milliseconds> parse_time(std::string_view directive, std::string_view text) {
  if (const auto time = time_in(text)) return *time;
  return tl::unexpected(invalid(directive, "value"));
}

value_of<std::chrono::seconds> parse_seconds(std::string_view directive, std::string_view text) {
  if (const auto time = seconds_in(text)) return *time;
  return tl::unexpected(invalid(directive, "value"));
}

value_of<std::int64_t> parse_number(std::string_view directive, std::string_view text) {
  if (const auto number = number_in(text)) return *number;
  return tl::unexpected(invalid(directive, "number"));
}

value_of<bool> parse_flag(std::string_view directive, std::string_view text) {
  if (equal_ignoring_case(text, "on")) return true;
  if (equal_ignoring_case(text, "off")) return false;
  return tl::unexpected("invalid value \"" + std::string(text) + "\" in \"" +
                        std::string(directive) + "\" directive, it must be \"on\" or \"off\"");
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace troupe::conf
