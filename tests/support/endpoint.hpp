// SPDX-License-Identifier: Apache-2.0
//
// Where a listener can be reached: an address and a port, or the path of a unix socket.
//
// Called   by test_node, which reads them from "listening on …"; by test_client and test_peer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::tests {

struct endpoint {
  std::string host = "127.0.0.1";  ///< Numeric, IPv6 without brackets.
  std::uint16_t port = 0;
  std::string unix_path = {};  ///< Not empty: a unix socket.

  /// What a `Host` field says: "127.0.0.1:8080".
  [[nodiscard]] std::string authority() const;

  /// Reads "http://127.0.0.1:8080", "[::1]:8080", "unix:/path" and "http://unix:/path". An address
  /// that stands for all is reached through loopback.
  static endpoint of(std::string_view text);
};

}  // namespace troupe::tests
