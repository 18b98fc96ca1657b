// SPDX-License-Identifier: Apache-2.0
//
// Dates of HTTP: "Thu, 18 Nov 2010 11:27:35 GMT".
//
// Source   RFC 9110 section 5.6.7 (IMF-fixdate, RFC 850 and asctime forms); ngx.cookie_time.
// Thread   any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::net {

/// Years are 1970 to 9999; other times are shown as the nearest second of these.
inline constexpr std::size_t longest_http_date = 30;

/// @param out  room for `longest_http_date` bytes. @return the bytes written.
std::size_t write_http_date(char* out, std::int64_t seconds) noexcept;
std::size_t write_cookie_date(char* out, std::int64_t seconds) noexcept;

/// 29 bytes.
std::string format_http_date(std::int64_t seconds);
/// "Thu, 18-Nov-10 11:27:35 GMT"; a year of four digits after 2037.
std::string format_cookie_date(std::int64_t seconds);
/// Any of the three forms; none if it is no date.
std::optional<std::int64_t> parse_http_date(std::string_view text);

}  // namespace troupe::net
