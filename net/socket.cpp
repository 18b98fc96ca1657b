// SPDX-License-Identifier: Apache-2.0
#include "net/socket.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace troupe::net {
namespace {
std::error_code last_error() noexcept { return {errno, std::generic_category()}; }
}  // namespace

void unique_fd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

tl::expected<unique_fd, std::error_code> listen_on(const address& where, socket_options options) {
  unique_fd fd(::socket(where.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return tl::unexpected(last_error());
  const int on = 1;
  if (!where.is_unix()) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (options.reuseport) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (where.family() == AF_INET6) {
      ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
  } else {
    // A socket file that nobody listens on any more is left over from a crash.
    const unique_fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (probe && ::connect(probe.get(), where.raw(), where.size()) != 0 && errno == ECONNREFUSED) {
      ::unlink(where.host().c_str() + 5);
    }
  }
  if (::bind(fd.get(), where.raw(), where.size()) != 0) return tl::unexpected(last_error());
  if (::listen(fd.get(), options.backlog) != 0) return tl::unexpected(last_error());
  return fd;
}

address local_address(int fd) noexcept {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return address::from(reinterpret_cast<const sockaddr*>(&storage), size);
}

io_result receive(int fd, std::span<char> into) noexcept {
  for (;;) {
    const ssize_t n = ::recv(fd, into.data(), into.size(), 0);
    if (n >= 0) return {static_cast<std::size_t>(n), {}};
    if (errno != EINTR) return {0, last_error()};
  }
}

io_result send(int fd, std::span<const iovec> pieces) noexcept {
  if (pieces.size() == 1) {  // The usual response: cheaper than a sendmsg() of one.
    for (;;) {
      const ssize_t n = ::send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
      if (n >= 0) return {static_cast<std::size_t>(n), {}};
      if (errno != EINTR) return {0, last_error()};
    }
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  for (;;) {
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (n >= 0) return {static_cast<std::size_t>(n), {}};
    if (errno != EINTR) return {0, last_error()};
  }
}

void set_nodelay(int fd) noexcept {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace troupe::net
