// SPDX-License-Identifier: Apache-2.0
//
// A hand-made server: what troupe (or test_client) is made to talk to when the other side must be
// wrong, slow or gone. Each connection in turn is handed to the function given.
//
// Thread   the function runs on a thread of the peer; the rest on the test's.
// Called   by tests of upstreams and of tests/support itself.
#pragma once

#include "tests/support/endpoint.hpp"
#include "tests/support/test_connection.hpp"

#include <filesystem>
#include <functional>
#include <thread>

namespace troupe::tests {

class test_peer {
 public:
  using conversation = std::function<void(test_connection& with)>;
  /// On 127.0.0.1 and a free port.
  explicit test_peer(conversation talk);
  /// On another address: "::1"; or on a unix socket.
  test_peer(endpoint at, conversation talk);
  /// Takes no more connections and waits for the end of the one that is served.
  ~test_peer();
  test_peer(const test_peer&) = delete;
  test_peer& operator=(const test_peer&) = delete;

  [[nodiscard]] const endpoint& address() const noexcept { return address_; }

 private:
  void serve(const conversation& talk) const;

  endpoint address_;
  int listener_ = -1;
  int stop_[2] = {-1, -1};
  std::thread thread_;
};

}  // namespace troupe::tests
