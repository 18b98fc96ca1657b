// SPDX-License-Identifier: Apache-2.0
//
// Log lines that strangers cause: a few in each while, then a count, so that nobody fills a disk by
// knocking.
//
// Source   docs/cluster.md, "Security".
// Thread   the owner's.
// Called   by cluster/zap, cluster/gate, cluster/lower_sockets, cluster/upper_socket.
#pragma once

#include "cluster/log_function.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace troupe::cluster {

class bounded_log {
 public:
  using instant = std::chrono::steady_clock::time_point;
  bounded_log(log_function log, log_level level, unsigned lines = 5,
              std::chrono::seconds in = std::chrono::seconds(10));

  void line(const std::string& text, instant now);
  /// Lines that were not written, over all.
  [[nodiscard]] std::uint64_t kept_back() const noexcept { return kept_back_; }

 private:
  log_function log_;
  log_level level_;
  unsigned lines_;
  std::chrono::seconds in_;
  instant begun_{};
  unsigned written_ = 0;
  std::uint64_t untold_ = 0;
  std::uint64_t kept_back_ = 0;
};

/// Bytes of a stranger as a log may have them: printable, and not long.
[[nodiscard]] std::string printable(std::string_view bytes, std::size_t at_most = 64);

}  // namespace troupe::cluster
