// SPDX-License-Identifier: Apache-2.0
//
// Going to the background, `daemon on`: the process that the user started waits until the one that
// serves says that it listens, and only then returns to the shell. Whoever starts it may send a
// request at once, and sees on stderr and in the exit status why there is nobody to answer it.
//
// Source   https://nginx.org/en/docs/ngx_core_module.html#daemon; nginx's parent does not wait.
// Thread   main, before a second thread exists.
// Called   by runtime/nginx_invocation.
#pragma once

#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <string>

namespace troupe {

class background {
 public:
  /// Forks and returns in the child, a session of its own. The parent ends in here: with 0 after
  /// ready(), else with the child's exit status.
  [[nodiscard]] static tl::expected<background, diagnostic> enter();

  background(background&& other) noexcept;
  ~background();

  /// Lets the parent go; stdin and stdout lead nowhere from now on, and stderr to the error log.
  void ready(const std::string& error_log) noexcept;

 private:
  explicit background(int pipe);
  int pipe_;
};

/// Makes stderr the file of this path, so that what libraries and scripts print is not lost;
/// "stderr" and "": leaves it as it is.
void redirect_stderr(const std::string& error_log) noexcept;

}  // namespace troupe
