// SPDX-License-Identifier: Apache-2.0
//
// The phases in which Lua runs, as one bit each, so that a function of the API can name the set of
// phases that it works in.
//
// Source   "Data flow" and the contexts of each directive in ngx_lua's README.
// Thread   any; constants only.
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::lua {

enum class phase : std::uint32_t {
  none = 0,
  init = 1u << 0,
  init_worker = 1u << 1,
  exit_worker = 1u << 2,
  set = 1u << 3,
  server_rewrite = 1u << 4,
  rewrite = 1u << 5,
  access = 1u << 6,
  precontent = 1u << 7,
  content = 1u << 8,
  header_filter = 1u << 9,
  body_filter = 1u << 10,
  log = 1u << 11,
  timer = 1u << 12,
  balancer = 1u << 13,
};

using phase_set = std::uint32_t;
constexpr phase_set operator|(phase a, phase b) noexcept {
  return static_cast<phase_set>(a) | static_cast<phase_set>(b);
}
constexpr phase_set operator|(phase_set a, phase b) noexcept {
  return a | static_cast<phase_set>(b);
}
constexpr bool contains(phase_set set, phase p) noexcept {
  return (set & static_cast<phase_set>(p)) != 0;
}

/// Phases that may produce a response: say, print, flush, eof, exec, redirect, read_body.
constexpr phase_set output_phases =
    phase::server_rewrite | phase::rewrite | phase::access | phase::precontent | phase::content;
/// Phases that have an exchange.
constexpr phase_set request_phases =
    output_phases | phase::set | phase::header_filter | phase::body_filter | phase::log |
    phase::balancer;

/// As ngx.get_phase() says it: "content", "header_filter", "init_worker" …
std::string_view name(phase p) noexcept;
/// As error texts say it: "content_by_lua*", "ngx.timer", "init_worker_by_lua*" …
std::string_view directive_name(phase p) noexcept;

}  // namespace troupe::lua
