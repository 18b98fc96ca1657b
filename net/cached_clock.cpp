// SPDX-License-Identifier: Apache-2.0
#include "net/cached_clock.hpp"

#include <ctime>

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

}  // namespace troupe::net
