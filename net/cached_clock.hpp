// SPDX-License-Identifier: Apache-2.0
//
// The time as a thread's event loop last saw it: reading it is a load, no system call.
//
// Source   ngx.now() and ngx.update_time() of ngx_lua: "cached" time.
// Thread   that of its event loop.
#pragma once

#include <cstdint>

namespace troupe::net {

class cached_clock {
public:
  cached_clock() noexcept { update(); }
  [[nodiscard]] std::int64_t wall_ms() const noexcept { return wall_ms_; }
  [[nodiscard]] std::int64_t monotonic_ms() const noexcept { return monotonic_ms_; }
  void update() noexcept;

private:
  std::int64_t wall_ms_ = 0;
  std::int64_t monotonic_ms_ = 0;
};

}  // namespace troupe::net
