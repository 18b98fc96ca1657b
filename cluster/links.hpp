// SPDX-License-Identifier: Apache-2.0
//
// The way messages take, as the protocol sees it. cluster/zmq_links is the real one; the simulation
// of tests/cluster loses, doubles, delays and reorders.
//
// A peer below is its `peer_id`: on a cluster with keys its CURVE key, as ZAP let it in; the last
// hello of a key wins. What one sends upward goes to the one upper node (controller or relay).
//
// None of these calls comes back into who made it: what it causes (on this node too, whose own
// follower is one of those below its controller) is delivered later, from the loop.
//
// `ask` numbers: a follower's are below relay_asks, a relay's below agent_asks, an agent's above,
// so that an answer finds its asker on a link that they share.
//
// Source   docs/cluster.md, "Links".
// Thread   cluster.
// Errors   none: what cannot be sent is lost, and the protocol finds out.
// Called   by cluster/controller, cluster/follower, cluster/relay.
#pragma once

#include "cluster/messages.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

using peer_id = std::string;
/// Monotonic; given to the protocol, never asked for by it.
using instant = std::chrono::steady_clock::time_point;

inline constexpr std::uint64_t relay_asks = std::uint64_t{1} << 61;
inline constexpr std::uint64_t agent_asks = std::uint64_t{1} << 62;

/// Where a relay's or an agent's numbers begin: nowhere twice, or an answer to what it asked before it
/// was started anew would be taken for that to something else.
[[nodiscard]] inline std::uint64_t first_ask(std::uint64_t range, instant now) noexcept {
  return range + static_cast<std::uint64_t>(now.time_since_epoch().count()) % relay_asks;
}

/// Topics of the announcement socket.
inline constexpr std::string_view topic_changes = "c";
inline constexpr std::string_view topic_beacons = "b";
inline constexpr std::string_view topic_app_prefix = "t/";
inline constexpr std::string_view topic_node_prefix = "node/";

/// Downward: what a controller or relay says.
class lower_links {
 public:
  virtual ~lower_links() = default;
  virtual void announce(std::string_view topic, const message& what) = 0;
  virtual void send(const peer_id& to, const message& what) = 0;
  /// The same to many: encoded once.
  virtual void send_all(const std::vector<peer_id>& to, const message& what) {
    for (const peer_id& one : to) send(one, what);
  }
  /// Cuts the links of a peer that is no longer allowed; it cannot come back.
  virtual void cut(const peer_id& who) = 0;
};

/// Upward: what a node says to the one above it.
class upper_link {
 public:
  virtual ~upper_link() = default;
  virtual void send(const message& what) = 0;
  /// Takes the link down and up again, perhaps to another of the addresses that it knows.
  virtual void connect_anew() = 0;
  /// Of the message that is being handled: the CURVE key that who sent it has proven to have. Empty:
  /// none.
  [[nodiscard]] virtual std::string_view server_key() const { return {}; }
};

}  // namespace troupe::cluster
