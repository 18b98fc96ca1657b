// SPDX-License-Identifier: Apache-2.0
//
// Where links are bound or joined: `127.0.0.1:7000`, `[::1]:7000`, `controller.example:7000`.
// Requests go to that port, announcements come from the next one.
//
// Source   docs/cluster.md, "Links".
// Thread   any; a value.
// Errors   parse() says what is wrong with the text.
// Called   by cluster/lower_sockets, cluster/upper_socket, cluster/agent.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::cluster {

struct link_address {
  std::string host;  ///< Without brackets.
  std::uint16_t port = 0;

  [[nodiscard]] static tl::expected<link_address, refusal> parse(std::string_view text);
  [[nodiscard]] std::string text() const;
  /// `tcp://…` as ZeroMQ takes it, `distance` ports further.
  [[nodiscard]] std::string endpoint(std::uint16_t distance = 0) const;
  /// By its form alone, without asking a name server: `localhost`, 127.0.0.0/8, ::1.
  [[nodiscard]] bool is_loopback() const;
  bool operator==(const link_address&) const = default;
};

}  // namespace troupe::cluster
