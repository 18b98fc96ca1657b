// SPDX-License-Identifier: Apache-2.0
//
// What the arguments of a `location` say it matches, and which locations may stand in which.
//
// Source   https://nginx.org/en/docs/http/ngx_http_core_module.html#location;
// ngx_http_core_location. Thread   any. Errors   the reason of a diagnostic, in nginx's words.
// Called   by the location directive in runtime/conf/directives; lua/location_match matches.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace troupe::conf {

struct location_pattern {
  enum class form : std::uint8_t { prefix, final_prefix, exact, regex, caseless_regex, named };
  form kind = form::prefix;
  std::string name;  ///< Without the modifier; of a named one with the `@`.

  [[nodiscard]] bool is_regex() const noexcept {
    return kind == form::regex || kind == form::caseless_regex;
  }
};

/// @param args  one or two: `/a`, `= /a`, `=/a`, `~* a` …
[[nodiscard]] tl::expected<location_pattern, std::string> parse_location(
    std::span<const std::string> args);

/// Empty if `inner` may stand in `outer`, else why not.
[[nodiscard]] std::string nesting_error(const location_pattern& inner,
                                        const location_pattern& outer);

/// What is wrong with a server_name, empty if nothing: `server name "*a" is invalid`. A name that
/// begins with `~` is a regular expression, matched without regard to case if it has a capital.
[[nodiscard]] std::string server_name_error(std::string_view name);

}  // namespace troupe::conf
