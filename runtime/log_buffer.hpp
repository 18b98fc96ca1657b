// SPDX-License-Identifier: Apache-2.0
//
// Lines of one access log on their way from one shard to the file: at once, or gathered
// (`access_log PATH FORMAT buffer=32k flush=5s`). Each shard has its own, as each nginx worker has.
//
// Source   https://nginx.org/en/docs/http/ngx_http_log_module.html#access_log.
// Thread   shard.
// Memory   `capacity` bytes, taken at construction.
// Called   by the log phase of connections; the shard's timer and a reopening call flush().
#pragma once

#include "runtime/log_file.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {

class log_buffer {
 public:
  /// @param capacity     0: each line is written at once.
  /// @param flush_after  how long a line may lie in the buffer; zero: until it is full.
  log_buffer(std::shared_ptr<const log_file> file, std::size_t capacity = 0,
             std::chrono::milliseconds flush_after = {});
  ~log_buffer();
  log_buffer(log_buffer&&) = delete;

  /// @param line  with its newline.
  /// @return whether flush() is due after flush_after(): this line is the first to wait.
  bool write(std::string_view line) noexcept;

  void flush() noexcept;

  [[nodiscard]] std::chrono::milliseconds flush_after() const noexcept { return flush_after_; }
  [[nodiscard]] std::size_t waiting_bytes() const noexcept { return buffer_.size(); }

 private:
  std::shared_ptr<const log_file> file_;
  std::string buffer_;  ///< Never grows beyond what was reserved.
  std::size_t capacity_;
  std::chrono::milliseconds flush_after_;
};

/// A variable's value as `log_format` shows it by default: control bytes, quotes, backslashes and
/// everything from 0x7f on become \xHH.
std::size_t access_escaped_size(std::string_view bytes) noexcept;
/// @param out  has room for access_escaped_size() bytes. @return their end.
char* write_access_escaped(char* out, std::string_view bytes) noexcept;

}  // namespace troupe
