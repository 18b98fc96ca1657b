// SPDX-License-Identifier: Apache-2.0
//
// The `pid` file: written when the node listens, gone when it has ended.
//
// Source   https://nginx.org/en/docs/ngx_core_module.html#pid; texts of ngx_signal_process().
// Thread   main.
// Called   by runtime/nginx_invocation and runtime/commands/run.
#pragma once

#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <string>

#include <sys/types.h>

namespace troupe {

class pid_file {
 public:
  /// Writes this process's number; replaces what is there.
  [[nodiscard]] static tl::expected<pid_file, diagnostic> write(std::string path);

  /// The number in a pid file.
  [[nodiscard]] static tl::expected<pid_t, diagnostic> read(const std::string& path);

  /// Renames it to PATH.oldbin, so that another process may write PATH; and back.
  [[nodiscard]] tl::expected<void, diagnostic> step_aside();
  void step_back() noexcept;

  pid_file(pid_file&& other) noexcept;
  /// Removes the file, unless another process has written it since.
  ~pid_file();

 private:
  explicit pid_file(std::string path);
  std::string path_;
  bool is_aside_ = false;
};

}  // namespace troupe
