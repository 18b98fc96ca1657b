// SPDX-License-Identifier: Apache-2.0
//
// The values that arguments of directives have: sizes, times, numbers, flags, names of a choice.
//
// Each takes the directive's name and the argument; the error is the reason of a diagnostic in
// nginx's words, complete.
//
// Source   https://nginx.org/en/docs/syntax.html; ngx_parse.c and the slot functions of
//          ngx_conf_file.c.
// Thread   any.
// Called   by the apply functions in runtime/conf/directives.
#pragma once

#include <tl/expected.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::conf {

template <class T>
using value_of = tl::expected<T, std::string>;

/// `8192`, `8k`, `1M`, `1g`: bytes. nginx knows `g` only for offsets (client_max_body_size,
/// proxy_max_temp_file_size …); as more is no harm, so do we everywhere.
[[nodiscard]] value_of<std::int64_t> parse_size(std::string_view directive, std::string_view text);

/// `1h 30m`, `500ms`, `60`: without a unit the last number is seconds.
[[nodiscard]] value_of<std::chrono::milliseconds> parse_time(std::string_view directive,
                                                             std::string_view text);

/// As parse_time, for directives that count whole seconds: `ms` is refused.
[[nodiscard]] value_of<std::chrono::seconds> parse_seconds(std::string_view directive,
                                                           std::string_view text);

/// Not negative, decimal.
[[nodiscard]] value_of<std::int64_t> parse_number(std::string_view directive,
                                                  std::string_view text);

/// `on` or `off`, in any case.
[[nodiscard]] value_of<bool> parse_flag(std::string_view directive, std::string_view text);

/// One of the names, in any case; the error is `invalid value "x"`.
template <class T>
[[nodiscard]] value_of<T> parse_choice(std::string_view text,
                                       std::span<const std::pair<std::string_view, T>> choices);

/// The bare numbers, without an error text, for what is part of an argument (`timeout=5s`).
[[nodiscard]] std::optional<std::int64_t> size_in(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::chrono::milliseconds> time_in(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::chrono::seconds> seconds_in(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::int64_t> number_in(std::string_view text) noexcept;

/// Equal but for ASCII case.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

template <class T>
value_of<T> parse_choice(std::string_view text,
                         std::span<const std::pair<std::string_view, T>> choices) {
  for (const auto& [name, value] : choices)
    if (equal_ignoring_case(name, text)) return value;
  return tl::unexpected("invalid value \"" + std::string(text) + "\"");
}

}  // namespace troupe::conf
