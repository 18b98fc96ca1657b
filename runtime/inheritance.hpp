// SPDX-License-Identifier: Apache-2.0
//
// What one process of a node gives to the next: the listening sockets, the lock of the data folder
// and a pipe for the answer, as descriptors that the environment variable TROUPE_INHERITED names.
//
//   TROUPE_INHERITED=answer:9;lock:3;listen:7:0.0.0.0%3A8080;listen:8:unix%3A%2Frun%2Fa.sock
//
// The answer is "ready PID VERSION\n", or a line for each reason why not.
//
// Source   NGINX of nginx; docs/operating.md, "Another binary".
// Thread   main, before a second thread exists.
// Errors   a descriptor that is none: refused, for who started this process means something else.
// Called   by runtime/commands (the new process), runtime/upgrade (text).
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "net/socket.hpp"
#include "troupe/diagnostic.hpp"
#include "troupe/options.hpp"

namespace troupe {

inline constexpr const char* inherited_variable = "TROUPE_INHERITED";

class inheritance {
 public:
  /// Of this process; takes the variable out of the environment, so that programs that scripts
  /// start do not see it.
  [[nodiscard]] static tl::expected<inheritance, diagnostic> receive();

  /// The value of the variable.
  [[nodiscard]] static std::string text(const std::vector<listening_socket>& sockets, int lock,
                                        int answer);

  /// Whether there is another process to take over from; until ready() or refuse().
  [[nodiscard]] bool is_there() const noexcept { return static_cast<bool>(answer_); }
  [[nodiscard]] std::vector<listening_socket> take_sockets() noexcept {
    return std::exchange(sockets_, {});
  }
  [[nodiscard]] int take_lock() noexcept { return lock_.release(); }

  /// This process serves. The other one may be gone: then it just does.
  void ready();
  /// Why it does not.
  void refuse(const diagnostics& problems);

 private:
  void answer(const std::string& text);
  std::vector<listening_socket> sockets_;
  net::unique_fd lock_;
  net::unique_fd answer_;
};

}  // namespace troupe
