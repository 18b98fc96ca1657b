// SPDX-License-Identifier: Apache-2.0
//
// The time as a thread's event loop last saw it: reading it is a load, no system call. Its usual
// texts are made once a second.
//
// Source   ngx.now() and ngx.update_time() of ngx_lua: "cached" time.
// Thread   that of its event loop.
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::net {

class cached_clock {
public:
  cached_clock() noexcept { update(); }
  [[nodiscard]] std::int64_t wall_ms() const noexcept { return wall_ms_; }
  [[nodiscard]] std::int64_t monotonic_ms() const noexcept { return monotonic_ms_; }
  void update() noexcept;

  /// The wall clock as the field Date has it. The view is good until the next second.
  [[nodiscard]] std::string_view http_date() noexcept;
  /// "18/Nov/2010:11:27:35 +0000", in the time zone of the process: $time_local.
  [[nodiscard]] std::string_view log_time() noexcept;

private:
  struct text {
    std::int64_t second = -1;
    std::size_t size = 0;
    char bytes[40];
  };
  std::int64_t wall_ms_ = 0;
  std::int64_t monotonic_ms_ = 0;
  text http_date_;
  text log_time_;
};

}  // namespace troupe::net
