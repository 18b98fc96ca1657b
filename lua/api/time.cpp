// SPDX-License-Identifier: Apache-2.0
//
// ngx.today, ngx.time, ngx.now, ngx.update_time, ngx.localtime, ngx.utctime, ngx.cookie_time,
// ngx.http_time, ngx.parse_http_time. The time is that of the shard's event loop, which stands
// still while a script runs; code that runs on no shard (init) asks the system.
//
// Source   the headings of these names in ngx_lua's README.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>

extern "C" {
#include "lua/api/time.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "net/cached_clock.hpp"
#include "net/http_date.hpp"

namespace troupe::lua {
namespace {

double wall_ms() noexcept {
  return static_cast<double>(current.clock != nullptr ? current.clock->wall_ms()
                                                      : net::cached_clock().wall_ms());
}

double monotonic_ms() noexcept {
  return static_cast<double>(current.clock != nullptr ? current.clock->monotonic_ms()
                                                      : net::cached_clock().monotonic_ms());
}

void update() noexcept {
  if (current.clock != nullptr) current.clock->update();
}

void print(char* out, const std::tm& t) noexcept {
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d", t.tm_year + 1900, t.tm_mon + 1,
                t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
  std::memcpy(out, text, 19);
}

void local_time(char* out) noexcept {
  const auto now = static_cast<std::time_t>(wall_ms() / 1000);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  print(out, parts);
}

void utc_time(char* out) noexcept {
  const auto now = static_cast<std::time_t>(wall_ms() / 1000);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  print(out, parts);
}

// Any number of Lua's as a moment between the years 1970 and 9999; nginx knows none before.
std::int64_t whole_seconds(double seconds) noexcept {
  constexpr double last = 253402300799.0;
  if (!(seconds >= 0)) return 0;
  return static_cast<std::int64_t>(std::min(seconds, last));
}

int http_time(double seconds, char* out) noexcept {
  return static_cast<int>(net::write_http_date(out, whole_seconds(seconds)));
}

int cookie_time(double seconds, char* out) noexcept {
  return static_cast<int>(net::write_cookie_date(out, whole_seconds(seconds)));
}

int parse(const char* text, std::size_t size, double* seconds) noexcept {
  const auto parsed = net::parse_http_date({text, size});
  if (!parsed) return -1;
  *seconds = static_cast<double>(*parsed);
  return 0;
}

constexpr troupe_ffi_time table{.wall_ms = wall_ms,
                                .monotonic_ms = monotonic_ms,
                                .update = update,
                                .local_time = local_time,
                                .utc_time = utc_time,
                                .http_time = http_time,
                                .cookie_time = cookie_time,
                                .parse = parse};

}  // namespace

const api_area time_area{.name = "time",
                         .cdef =
                             {
#include "lua/api/time.ffi.h.inc"
                             },
                         .table = &table,
                         .source =
                             {
#include "lua/api/time.lua.inc"
                             },
                         .functions = nullptr};

}  // namespace troupe::lua
