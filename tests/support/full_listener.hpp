// SPDX-License-Identifier: Apache-2.0
//
// A port of 127.0.0.1 that answers no connect(): its queue is full and nobody accepts.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "net/socket.hpp"

namespace troupe::tests {

class full_listener {
 public:
  full_listener() : listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    auto* address = reinterpret_cast<sockaddr*>(&where);
    (void)::bind(listening_.get(), address, size);
    (void)::listen(listening_.get(), 0);
    (void)::getsockname(listening_.get(), address, &size);
    port_ = ntohs(where.sin_port);
    for (net::unique_fd& each : waiting_) {
      each.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      (void)::connect(each.get(), address, size);
    }
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  net::unique_fd listening_;
  std::array<net::unique_fd, 4> waiting_;
  std::uint16_t port_ = 0;
};

}  // namespace troupe::tests
