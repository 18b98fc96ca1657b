// SPDX-License-Identifier: Apache-2.0
//
// A server of Debian's (redis-server, memcached …) on a free port: ready when the constructor returns,
// killed when the object ends.
//
// Thread   the test's.
// Called   by tests/e2e.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "net/socket.hpp"
#include "tests/support/endpoint.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"

namespace troupe::tests {

class real_peer {
public:
  explicit real_peer(const std::function<std::vector<std::string>(const std::string& port)>& command)
      : process_(command(std::to_string(port_.number()))) {
    // Until it listens.
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_.number());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 4000; ++i) {
      const net::unique_fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  [[nodiscard]] endpoint address() const { return {.port = port_.number()}; }

private:
  free_port port_;
  process process_;
};

}  // namespace troupe::tests
