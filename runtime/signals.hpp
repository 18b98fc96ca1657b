// SPDX-License-Identifier: Apache-2.0
//
// The signals of the process, as a queue that one thread reads: handlers only write into a pipe.
// They are handlers rather than blocked signals with a signalfd, because a blocked mask would be
// inherited by every program that a script starts, while handlers end with exec. The pipe's end is
// the one mutable global of the program, for a handler has no other way to it.
//
// Source   signal-safety(7); https://nginx.org/en/docs/control.html.
// Thread   next(): one; wake(): any.
// Called   by runtime/serve.
#pragma once

#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <string_view>

#include <sys/types.h>

namespace troupe {

class signals {
 public:
  struct event {
    int number = 0;    ///< 0: wake() was called.
    pid_t sender = 0;  ///< 0: the kernel.
  };

  /// Handles TERM, INT, QUIT, HUP, USR1, USR2 and WINCH, and ignores PIPE. One at a time in a
  /// process.
  [[nodiscard]] static tl::expected<signals, diagnostic> install();
  signals(signals&& other) noexcept;
  /// Restores the defaults.
  ~signals();

  /// Waits for the next one.
  event next() noexcept;
  /// Makes next() return number 0.
  void wake() noexcept;

 private:
  signals(int read_end, int write_end);
  int read_end_;
  int write_end_;
};

/// "SIGTERM"
std::string_view signal_name(int number) noexcept;

}  // namespace troupe
