// SPDX-License-Identifier: Apache-2.0
//
// A file that log lines are appended to, and the node's registry of them: error_log and access_log
// directives that name one path share one file, across releases too, and all are opened again
// together when somebody has moved them away.
//
// A line is one writev(2) on a descriptor in append mode: no buffer, no lock, no allocation, and
// lines of several threads and processes do not mix. Reopening replaces what the descriptor refers
// to (dup3), so that writers never see it closed. A write that fails (disk full, broken pipe) loses
// its line and nothing else.
//
// Source   https://nginx.org/en/docs/control.html#logs.
// Thread   any.
// Errors   opening: texts in nginx's words, `open() "PATH" failed (13: Permission denied)`.
// Called   by runtime/log_sink, runtime/log_buffer; the registry belongs to runtime/node.
#pragma once

#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace troupe {

class log_file {
 public:
  /// @param path  absolute, or "stderr": whatever the process's standard error is now.
  [[nodiscard]] static tl::expected<std::shared_ptr<const log_file>, diagnostic> open(
      std::string path);
  ~log_file();
  log_file(const log_file&) = delete;
  log_file& operator=(const log_file&) = delete;

  /// Appends the parts, which together end in a newline, at once.
  void write(std::string_view first, std::string_view second = {}, std::string_view third = {},
             std::string_view fourth = {}) const noexcept;

  /// Opens the path again; on a failure the old file stays.
  [[nodiscard]] tl::expected<void, diagnostic> reopen() const;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  log_file(std::string path, int descriptor);

  const std::string path_;
  const int descriptor_;
};

/// The log files of a node, by path. A file closes when nothing logs to it any more.
class log_files {
 public:
  [[nodiscard]] tl::expected<std::shared_ptr<const log_file>, diagnostic> open(
      const std::string& path);

  /// @return what could not be opened again.
  diagnostics reopen();

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const log_file>> files_;
};

/// `open() "/var/log/x" failed (2: No such file or directory)`
std::string system_error_text(std::string_view call, std::string_view path, int number);

}  // namespace troupe
