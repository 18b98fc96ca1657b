// SPDX-License-Identifier: Apache-2.0
#include "net/datagram_socket.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace troupe::net {
namespace {
std::error_code last_error() noexcept { return {errno, std::generic_category()}; }

io_result result_of(ssize_t n) noexcept {
  if (n >= 0) return {static_cast<std::size_t>(n), {}};
  if (errno == EAGAIN) return {0, std::make_error_code(std::errc::operation_would_block)};
  return {0, last_error()};
}
}  // namespace

datagram_socket::~datagram_socket() {
  if (fd_) loop_.forget(fd_.get(), *this);
}

std::error_code datagram_socket::connect(const address& to, const address& from) noexcept {
  fd_.reset(::socket(to.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return last_error();
  if (from.family() != AF_UNSPEC) {
    if (::bind(fd_.get(), from.raw(), from.size()) != 0) return last_error();
  } else if (to.is_unix()) {
    // Without a name of our own nobody could answer; the kernel makes one.
    const sockaddr unnamed{.sa_family = AF_UNIX, .sa_data = {}};
    if (::bind(fd_.get(), &unnamed, sizeof unnamed.sa_family) != 0) return last_error();
  }
  if (::connect(fd_.get(), to.raw(), to.size()) != 0) return last_error();
  return loop_.watch(fd_.get(), *this);
}

io_result datagram_socket::receive(std::span<char> into) noexcept {
  return result_of(::recv(fd_.get(), into.data(), into.size(), 0));
}

io_result datagram_socket::send(std::span<const char> datagram) noexcept {
  return result_of(::send(fd_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL));
}

}  // namespace troupe::net
