// SPDX-License-Identifier: Apache-2.0
//
// Sockets as descriptors: ownership, and the few calls that a server makes on them.
//
// Source   socket(7), tcp(7).
// Thread   any; one at a time for one descriptor.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <system_error>
#include <tl/expected.hpp>
#include <utility>

#include "net/address.hpp"

namespace troupe::net {

class unique_fd {
public:
  unique_fd() noexcept = default;
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~unique_fd() { reset(); }
  void reset(int fd = -1) noexcept;
  [[nodiscard]] int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }

private:
  int fd_ = -1;
};

struct socket_options {
  int backlog = 511;
  bool reuseport = false;
};

/// A listening, non-blocking socket.
tl::expected<unique_fd, std::error_code> listen_on(const address& where, socket_options options);
/// The address that a socket is really bound to.
address local_address(int fd) noexcept;

struct io_result {
  std::size_t bytes = 0;
  std::error_code error;  ///< operation_would_block: try again when told.
  [[nodiscard]] bool would_block() const noexcept {
    return error == std::errc::operation_would_block;
  }
};
/// bytes 0 without error: the peer has ended its side.
io_result receive(int fd, std::span<char> into) noexcept;
io_result send(int fd, std::span<const iovec> pieces) noexcept;
void set_nodelay(int fd) noexcept;

}  // namespace troupe::net
