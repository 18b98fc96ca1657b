// SPDX-License-Identifier: Apache-2.0
//
// A TCP port that nobody listens on, or several in a row, reserved among all tests of this machine
// while the object lives. Where the node can choose (`--port 0`), let it; this is for what needs
// the number beforehand.
//
// The ports lie below the range from which the kernel takes the ports of outgoing connections, so
// that no client of another test can sit on one.
//
// Thread   any.
// Errors   no port left fails the test; number() is 0 then.
// Called   by test_node for apps that name @port@; by tests.
#pragma once

#include <cstdint>
#include <vector>

namespace troupe::tests {

class free_port {
 public:
  /// @param in_a_row  a cluster's node that others link to takes two
  explicit free_port(unsigned in_a_row = 1);
  ~free_port();
  free_port(free_port&& other) noexcept;
  free_port& operator=(free_port&&) = delete;
  free_port(const free_port&) = delete;
  free_port& operator=(const free_port&) = delete;

  /// The first.
  [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

 private:
  std::uint16_t number_ = 0;
  std::vector<int> locks_;
};

}  // namespace troupe::tests
