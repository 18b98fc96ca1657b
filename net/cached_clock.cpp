// SPDX-License-Identifier: Apache-2.0
#include "net/cached_clock.hpp"

#include <ctime>

#include "net/http_date.hpp"

namespace troupe::net {
namespace {
std::int64_t read_ms(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}
}  // namespace

void cached_clock::update() noexcept {
  wall_ms_ = read_ms(CLOCK_REALTIME);
  monotonic_ms_ = read_ms(CLOCK_MONOTONIC);
}

std::string_view cached_clock::http_date() noexcept {
  static_assert(sizeof http_date_.bytes >= longest_http_date);
  if (const std::int64_t second = wall_ms_ / 1000; http_date_.second != second) {
    http_date_.second = second;
    http_date_.size = write_http_date(http_date_.bytes, second);
  }
  return {http_date_.bytes, http_date_.size};
}

std::string_view cached_clock::log_time() noexcept {
  if (const std::int64_t second = wall_ms_ / 1000; log_time_.second != second) {
    const std::time_t now = static_cast<std::time_t>(second);
    std::tm parts{};
    ::localtime_r(&now, &parts);
    log_time_.second = second;
    log_time_.size =
        std::strftime(log_time_.bytes, sizeof log_time_.bytes, "%d/%b/%Y:%H:%M:%S %z", &parts);
  }
  return {log_time_.bytes, log_time_.size};
}

}  // namespace troupe::net
