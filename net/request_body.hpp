// SPDX-License-Identifier: Apache-2.0
//
// The body of a request: in memory up to client_body_buffer_size, then in a temporary file.
//
// Source   client_body_buffer_size, client_body_temp_path, client_body_in_file_only of nginx;
//          ngx.req.*body* of ngx_lua.
// Thread   shard. Writing the temporary file is plain file I/O, which Linux caches.
// Errors   a file that cannot be written leaves `failed()` with errno's code; the exchange gets 500.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace troupe::net {

enum class body_state : std::uint8_t {
  unread,     ///< Still with the client (or there is none).
  reading,    ///< Somebody waits for it.
  read,       ///< All of it is here.
  discarded,  ///< Read and dropped, or to be dropped.
};

class request_body {
public:
  request_body() = default;
  ~request_body();
  request_body(const request_body&) = delete;
  request_body& operator=(const request_body&) = delete;

  body_state state = body_state::unread;

  /// @param memory_limit  bytes; 0: straight to a file.
  void start(std::size_t memory_limit, std::string temp_folder, bool in_file_only);
  void append(std::string_view bytes);
  void finish() { state = body_state::read; }

  [[nodiscard]] bool in_file() const noexcept { return fd_ >= 0; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// The bytes in memory; empty when the body is in a file.
  [[nodiscard]] std::string_view memory() const noexcept { return in_file() ? std::string_view{} : memory_; }
  [[nodiscard]] const std::string& file_path() const noexcept { return path_; }
  [[nodiscard]] int file_descriptor() const noexcept { return fd_; }
  [[nodiscard]] std::error_code failure() const noexcept { return failure_; }
  /// Whether a temporary file was made since start(); for the log line that nginx writes.
  [[nodiscard]] bool was_spilled() const noexcept { return spilled_; }

  /// Replaces the body (ngx.req.set_body_data).
  void assign(std::string_view bytes);
  /// Replaces the body by a file (ngx.req.set_body_file).
  /// @param owned  unlink it when the exchange ends or the body is replaced again.
  std::error_code assign_file(std::string path, bool owned);
  /// Reads the whole body into `out`, also from a file.
  std::error_code copy_to(std::string& out) const;
  /// The file stays when the exchange ends (client_body_in_file_only on).
  void keep_file() noexcept { unlink_at_end_ = false; }

  void reset() noexcept;

private:
  void spill();
  void drop_file() noexcept;

  std::string memory_;
  std::string path_;
  std::string temp_folder_;
  std::uint64_t size_ = 0;
  std::size_t memory_limit_ = 0;
  std::error_code failure_;
  int fd_ = -1;
  bool unlink_at_end_ = false;
  bool spilled_ = false;
};

}  // namespace troupe::net
