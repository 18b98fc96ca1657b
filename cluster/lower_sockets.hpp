// SPDX-License-Identifier: Apache-2.0
//
// The sockets of a node that others link to: announcements (XPUB, port + 1) and requests (ROUTER).
//
// A peer is the key that ZAP let in; where to find it is the connection by which it last said
// hello, or that its present request came by. Keys of tools and tokens are held by several at once:
// each of their connections is a peer of its own. On a cluster without keys every connection is.
//
// Source   docs/cluster.md, "Links" and "Security".
// Thread   cluster.
// Errors   open(): a refusal that names the address. Afterwards none: garbage is counted, logged at
// a
//          bounded rate and answered with `refused` where a question can be seen in it.
// Called   by cluster/agent.
#pragma once

#include "cluster/bounded_log.hpp"
#include "cluster/curve_key.hpp"
#include "cluster/gate.hpp"
#include "cluster/link_address.hpp"
#include "cluster/links.hpp"
#include "cluster/zap.hpp"
#include "cluster/zmq_loop.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace troupe::cluster {

class lower_sockets final : public lower_links, public loop_source {
 public:
  struct options {
    link_address listen;             ///< Port 0: any two that follow each other.
    std::optional<curve_pair> keys;  ///< None: a cluster without keys.
    gate::options limits;
    log_function log;
    /// Each pong that comes has libzmq go through the timers of all connections that are due before
    /// its own: these are few only if the heartbeats are further apart than their time-out is long.
    std::chrono::milliseconds heartbeat{15'000};
    std::chrono::milliseconds heartbeat_timeout{10'000};
    std::chrono::milliseconds handshake{10'000};
    /// How long a connection that was cut may take to end before the announcement socket is bound
    /// anew.
    std::chrono::milliseconds cut_within{500};
  };
  struct handlers {
    std::function<void(const peer_id&, link_role, message, instant)> on_message;
    std::function<void(const peer_id&, std::string_view topic, instant)> on_subscribed;
    std::function<void(std::string_view topic, instant)> on_unsubscribed;  ///< The last one.
    std::function<void(const peer_id&, instant)> on_gone;
  };
  /// @param zap  bound in the same context, beforehand.
  [[nodiscard]] static tl::expected<std::unique_ptr<lower_sockets>, refusal> open(
      const zmq_context& context, const class zap& zap, options how, handlers then);
  ~lower_sockets() override;

  void announce(std::string_view topic, const message& what) override;
  void send(const peer_id& to, const message& what) override;
  void send_all(const std::vector<peer_id>& to, const message& what) override;
  void cut(const peer_id& who) override;

  // loop_source
  void handles(std::vector<void*>& to) const override;
  void pump(instant now) override;
  [[nodiscard]] instant next_tick() const override;

  [[nodiscard]] const link_address& address() const noexcept { return how_.listen; }
  struct counters {
    std::uint64_t messages = 0;
    std::uint64_t garbage = 0;  ///< That could not be decoded.
    std::uint64_t denied = 0;   ///< Of a peer that may not send this.
    std::uint64_t lost = 0;     ///< Ours, for which there was no room or nobody.
    std::uint64_t cut = 0;      ///< Connections, by the gate.
    std::uint64_t bound_anew = 0;
  };
  [[nodiscard]] counters count() const noexcept;

 private:
  struct peer {
    std::string route;  ///< By ROUTER's name of the connection.
    bool said_hello = false;
    std::unordered_set<int> requests;  ///< Descriptors of its connections.
    std::unordered_set<int> announcements;
  };
  lower_sockets(const zmq_context& context, const class zap& zap, options how, handlers then);
  [[nodiscard]] tl::expected<zmq_socket, refusal> make(int type, const char* domain,
                                                       long long max_message, int send_queue);
  [[nodiscard]] tl::expected<void, refusal> bind_announcements(std::uint16_t port);
  void close_announcements();
  void bind_announcements_later(instant now);
  void watch(zmq_monitor& monitor, int& listener, instant now);
  void hear_nothing_from(const std::vector<std::string>& addresses);
  [[nodiscard]] gate::options with_ears(gate::options limits);
  void on_request(zmq_received& got, instant now);
  void on_subscription(const zmq_received& got, instant now);
  [[nodiscard]] bool may(link_role role, const message& what) const;
  void refuse(const std::string& route, std::uint64_t ask, std::string_view error,
              const std::string& reason);
  bool send_by(const std::string& route, std::string_view bytes);
  void send_bytes(const peer_id& to, std::string_view bytes);
  void on_closed(int descriptor, instant now);
  [[nodiscard]] peer_id peer_of(const zmq_received& got, link_role role,
                                const std::string& route) const;

  const zmq_context& context_;
  const class zap& zap_;
  options how_;
  handlers then_;
  gate gate_;
  bounded_log strangers_;
  zmq_socket requests_, announcements_;
  zmq_monitor requests_monitor_, announcements_monitor_;
  int requests_listener_ = -1, announcements_listener_ = -1;  ///< Descriptors; -1: not known.
  std::vector<std::string> unheard_;                          ///< Addresses.
  std::unordered_map<peer_id, peer> peers_;
  struct owner {
    peer_id who;
    bool announces = false;
    std::string route;
  };
  std::unordered_map<int, owner> by_descriptor_;
  std::unordered_set<int> ended_;               ///< In this turn.
  std::unordered_map<int, instant> closing_;    ///< Requests' connections, after a refusal.
  std::unordered_map<int, instant> cutting_;    ///< Announcement connections that have to end soon.
  const std::string* present_route_ = nullptr;  ///< Of the request that is being answered.
  const peer_id* present_peer_ = nullptr;
  instant now_{};
  bool has_more_ = false;
  std::optional<instant> bind_at_;  ///< The announcement socket, whose port was not free yet.
  counters count_;
};

/// The number by which the asker ties an answer; 0: the kind has none.
[[nodiscard]] std::uint64_t ask_of(const message& what) noexcept;
/// The same of bytes that are no message, if they begin like one.
[[nodiscard]] std::uint64_t ask_in(std::string_view bytes) noexcept;

}  // namespace troupe::cluster
