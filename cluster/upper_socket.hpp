// SPDX-License-Identifier: Apache-2.0
//
// A node's link to the one above it: announcements (SUB) and requests (DEALER), over which it
// connects anew by itself for as long as it lives, to one address after the other.
//
// The link is up when both are through their handshakes, with all subscriptions sent before,
// `node/NAME` the last of them.
//
// What comes is taken out of ZeroMQ's queues at once, which have no limit (with one, libzmq 4.3.4
// can abort the process), into one of ours, which has: what does not fit is dropped, newest first,
// and told by on_gap.
//
// Source   docs/cluster.md, "Links".
// Thread   cluster.
// Errors   logged when they change; who reads the log sees why a node is out.
// Called   by cluster/agent.
#pragma once

#include "cluster/bounded_log.hpp"
#include "cluster/curve_key.hpp"
#include "cluster/link_address.hpp"
#include "cluster/links.hpp"
#include "cluster/zmq_context.hpp"
#include "cluster/zmq_loop.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace troupe::cluster {

/// Somebody to link to, and how to know them.
struct upper_address {
  link_address at;
  std::string server_key;  ///< Z85; empty: on a cluster without keys.
  bool operator==(const upper_address&) const = default;
};

class upper_socket final : public upper_link, public loop_source {
 public:
  struct options {
    std::string node;  ///< Empty: requests only, nothing is subscribed to (tools, tokens).
    std::optional<curve_pair> keys;
    log_function log;
    std::size_t queue_messages = 10'000;
    std::size_t queue_bytes = 32 * 1024 * 1024;
    /// For a link to come up, before the next address. Doubled with each round in which somebody was
    /// there and no link came up, up to four times as long: thousands that come at once need longer.
    /// Half of it with other addresses to try.
    std::chrono::milliseconds attempt{3'500};
    std::chrono::milliseconds back_off{100};  ///< After a refused handshake; doubled each time …
    std::chrono::milliseconds back_off_most{5'000};  ///< … up to this.
    std::chrono::milliseconds handshake{10'000};
    /// Who pumps it calls on_ready() before: what has nothing is not looked at then.
    bool is_told_what_is_ready = false;
  };
  struct handlers {
    std::function<void(bool up, instant)> on_link;
    std::function<void(std::string_view topic, message, instant)> on_announced;
    std::function<void(message, instant)> on_message;
    std::function<void(std::uint64_t dropped, instant)> on_gap;
  };
  upper_socket(const zmq_context& context, options how, handlers then);
  ~upper_socket() override;

  /// Whom to try, the first first. A link to one that is no longer among them is taken down.
  void addresses(std::vector<upper_address> those, instant now);
  void keys(std::optional<curve_pair> mine) { how_.keys = std::move(mine); }

  void send(const message& what) override;
  void connect_anew() override;
  [[nodiscard]] std::string_view server_key() const override;
  /// Beside changes and beacons; `t/TOPIC`.
  void subscribe(const std::string& topic);
  void unsubscribe(const std::string& topic);

  void handles(std::vector<void*>& to) const override;
  void on_ready(void* handle) override;
  void pump(instant now) override;
  [[nodiscard]] instant next_tick() const override;

  [[nodiscard]] bool is_up() const noexcept { return is_up_; }
  /// How long the link that is up took to come up: long where many link at once.
  [[nodiscard]] std::chrono::milliseconds took_to_link() const noexcept { return took_; }
  [[nodiscard]] std::optional<upper_address> linked_to() const;
  /// Why it is not up, in words; empty: it is, or has only begun.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  /// How a problem, or a line of the log, ends that says that the other end does not know our key.
  static constexpr std::string_view denied_words = " does not let our key in";
  struct counters {
    std::uint64_t attempts = 0;
    std::uint64_t denied = 0;   ///< Handshakes.
    std::uint64_t dropped = 0;  ///< Messages that did not fit into the queue.
    std::uint64_t garbage = 0;
    std::uint64_t lost = 0;  ///< Ours.
  };
  [[nodiscard]] const counters& count() const noexcept { return count_; }

 private:
  struct link {
    zmq_socket socket;
    zmq_monitor monitor;
    bool up = false;
    bool has_messages = true;  ///< As far as is known.
    bool has_events = true;    ///< Of its monitor.
  };
  struct incoming {
    bool announced = false;
    unsigned link = 0;  ///< Which it came by.
    std::vector<std::string> frames;
    std::size_t bytes = 0;
  };
  [[nodiscard]] tl::expected<link, refusal> make(int type, const upper_address& to,
                                                 std::uint16_t distance);
  void open(instant now);
  [[nodiscard]] std::chrono::milliseconds attempt_time();
  void close(instant now);
  void fail(const std::string& why, bool refused, instant now);
  bool watch(link& one, instant now);
  void drain(link& one, bool announced);
  void deliver(incoming& one, instant now);
  void set_up(bool up, instant now);
  [[nodiscard]] std::chrono::milliseconds jitter(std::chrono::milliseconds most);

  const zmq_context& context_;
  options how_;
  handlers then_;
  bounded_log problems_;
  std::vector<upper_address> addresses_;
  std::size_t at_ = 0;               ///< The address that is tried.
  std::optional<upper_address> to_;  ///< Of the open sockets.
  link announcements_, requests_;
  std::set<std::string> topics_;
  unsigned links_ = 0;  ///< Until now; the present one's number.
  bool is_of_this_link_ = false;  ///< The message that is being handled.
  std::deque<incoming> queue_;
  std::size_t queued_bytes_ = 0;
  std::uint64_t gap_ = 0;
  bool is_up_ = false;
  bool anew_ = false;
  unsigned refused_in_a_row_ = 0;
  unsigned rounds_in_vain_ = 0;  ///< Through all addresses, with somebody there.
  bool was_there_ = false;       ///< In this round somebody was.
  std::optional<instant> open_at_;
  std::optional<instant> give_up_at_;  ///< The attempt that is under way.
  instant attempt_began_{};
  std::chrono::milliseconds took_{0};
  instant now_{};
  std::string problem_;
  std::minstd_rand random_;
  counters count_;
};

}  // namespace troupe::cluster
