// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_peer.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace troupe::tests {
namespace {

// Listens; a port of 0 is replaced by the one that the kernel chose.
int listen_at(endpoint& at) {
  sockaddr_storage storage{};
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t size = 0;
  if (!at.unix_path.empty()) {
    auto& path = reinterpret_cast<sockaddr_un&>(storage);
    path.sun_family = AF_UNIX;
    at.unix_path.copy(path.sun_path, sizeof path.sun_path - 1);
    size = sizeof path;
  } else if (at.host.find(':') != std::string::npos) {
    auto& six = reinterpret_cast<sockaddr_in6&>(storage);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(at.port);
    ::inet_pton(AF_INET6, at.host.c_str(), &six.sin6_addr);
    size = sizeof six;
  } else {
    auto& four = reinterpret_cast<sockaddr_in&>(storage);
    four.sin_family = AF_INET;
    four.sin_port = htons(at.port);
    ::inet_pton(AF_INET, at.host.c_str(), &four.sin_addr);
    size = sizeof four;
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::bind(fd, address, size) != 0 || ::listen(fd, 128) != 0 ||
      ::getsockname(fd, address, &size) != 0) {
    ADD_FAILURE() << "cannot listen: " << std::strerror(errno);
    if (fd >= 0) ::close(fd);
    return -1;
  }
  if (at.unix_path.empty())
    at.port =
        ntohs(storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(storage).sin_port);
  return fd;
}

}  // namespace

test_peer::test_peer(conversation talk) : test_peer(endpoint{}, std::move(talk)) {}

test_peer::test_peer(endpoint at, conversation talk) : address_(std::move(at)) {
  listener_ = listen_at(address_);
  if (listener_ < 0 || ::pipe2(stop_, O_CLOEXEC) != 0) return;
  thread_ = std::thread([this, talk = std::move(talk)] { serve(talk); });
}

test_peer::~test_peer() {
  if (thread_.joinable()) {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
  }
  if (listener_ >= 0) ::close(listener_);
}

void test_peer::serve(const conversation& talk) const {
  for (;;) {
    pollfd events[2] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 && errno != EINTR) return;
    if (events[1].revents != 0) return;
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    test_connection connection(socket);
    talk(connection);
  }
}

}  // namespace troupe::tests
