// SPDX-License-Identifier: Apache-2.0
//
// What of an agent lives on the cluster's thread: it ties the follower, and the controller or relay
// if this node is one, to the sockets, and changes the node's part when the history says so.
//
// A node is one of three at a time:
//   leading      controller; its own follower beside it, over local_link
//   following    upper_socket; a relay too if it binds
//   taking over  neither: it hears who comes to it, and then leads
//
// Source   docs/cluster.md, "Links" and "Controllers".
// Thread   cluster; state(), stands() and address() from any.
// Errors   start(): a refusal. Later ones are logged and stand in stands().problem.
// Called   by cluster/agent.
#pragma once

#include "cluster/agent.hpp"
#include "cluster/agent_keys.hpp"
#include "cluster/enrolment.hpp"
#include "cluster/etcd_seat.hpp"
#include "cluster/local_link.hpp"
#include "cluster/lower_sockets.hpp"
#include "cluster/member_calls.hpp"
#include "cluster/own_requests.hpp"
#include "cluster/relay.hpp"
#include "cluster/sqlite_log.hpp"
#include "cluster/takeover.hpp"
#include "cluster/upper_socket.hpp"
#include "cluster/zmq_loop.hpp"

#include <memory>
#include <mutex>
#include <set>

namespace troupe::cluster {

class agent_core final : public loop_source {
 public:
  agent_core(agent::options how, agent_keys keys, blob_source& blobs, host& runtime,
             zmq_loop& loop);
  ~agent_core() override;

  [[nodiscard]] tl::expected<void, refusal> start(instant now);
  void end();  ///< Answers what is still open.

  void submit(const signed_order& what, own_requests::on_progress then);
  [[nodiscard]] own_requests& requests() noexcept { return requests_; }
  /// What agent::own_aside_query asks for.
  [[nodiscard]] tl::expected<query_answer, refusal> own_aside() const;
  void publish(std::string topic, std::string payload);
  void subscribe(const std::string& topic);
  void unsubscribe(const std::string& topic);

  [[nodiscard]] std::shared_ptr<const cluster_state> state() const;
  [[nodiscard]] agent::standing stands() const;
  [[nodiscard]] const std::string& address() const noexcept { return address_; }

  void handles(std::vector<void*>&) const override {}
  void pump(instant now) override;
  [[nodiscard]] instant next_tick() const override;

 private:
  // agent_start.cpp
  [[nodiscard]] tl::expected<void, refusal> check() const;
  [[nodiscard]] tl::expected<void, refusal> bind(instant now);
  [[nodiscard]] tl::expected<std::vector<signed_order>, refusal> founding() const;
  [[nodiscard]] tl::expected<std::vector<signed_order>, refusal> leading_orders(
      const cluster_state& state, std::uint64_t epoch) const;
  [[nodiscard]] tl::expected<void, refusal> reach_store() const;
  void open_seat();
  // agent_part.cpp
  [[nodiscard]] tl::expected<void, refusal> lead(std::vector<signed_order> first, instant now);
  void follow(instant now);
  void take_over(const signed_order& promotion, own_requests::on_progress then, instant now);
  void end_takeover(instant now);
  void change_part(instant now);
  void change_part_by_seat(instant now);
  void lose_epoch(std::uint64_t epoch);
  [[nodiscard]] std::vector<progress> known_outcomes() const;
  // agent_links.cpp
  void link_up(instant now);
  [[nodiscard]] bool is_member() const;
  void refresh_allowed();
  [[nodiscard]] upper_address with_key(const link_address& at) const;
  [[nodiscard]] std::vector<upper_address> addresses() const;
  void refresh_addresses(instant now);
  void tell_own_address(instant now);
  void call_members(instant now);
  // agent_core.cpp
  void on_request(const peer_id& from, message what, instant now);
  void on_subscribed(const peer_id& who, std::string_view topic, instant now);
  void on_announced(std::string_view topic, message what, instant now);
  void on_answer(message what, instant now);
  void keep_house(instant now);
  void show(instant now);
  [[nodiscard]] const cluster_state& newest() const;
  void describe(message& sent) const;
  [[nodiscard]] static wall_time wall_now();
  void say(log_level level, const std::string& line) const {
    if (how_.log) how_.log(level, line);
  }

  agent::options how_;
  agent_keys keys_;
  blob_source& blobs_;
  host& runtime_;
  zmq_loop& loop_;
  std::string address_;

  std::unique_ptr<zmq_context> context_;
  std::unique_ptr<sqlite_log> log_;
  std::unique_ptr<zap> zap_;
  std::unique_ptr<lower_sockets> lower_;
  switched_link link_;
  local_link local_;
  own_requests requests_;
  std::unique_ptr<follower> follower_;
  std::unique_ptr<upper_socket> upper_;
  std::unique_ptr<enrolment> enrolment_;
  std::unique_ptr<relay> relay_;
  std::unique_ptr<etcd_seat> seat_;  ///< With a log in etcd; it, not the history, says who leads.
  std::string seat_leader_;
  std::unique_ptr<controller> controller_;
  std::unique_ptr<member_calls> calls_;
  std::unique_ptr<takeover> takeover_;
  signed_order promotion_;
  own_requests::on_progress promoted_;

  std::set<std::string, std::less<>> own_topics_;  ///< `t/TOPIC`.
  std::vector<upper_address> upper_addresses_;
  bool moved_ =
      false;  ///< It led once, or follows whoever leads: the controller's address is first.
  bool told_address_ = false;
  std::uint64_t lost_epoch_ = 0;  ///< In which it led, until another was promoted; 0: none.
  bool is_changed_ = false;       ///< The follower's state, since the last turn.
  position allowed_at_;
  instant house_at_{};
  instant shown_at_{};
  instant show_at_ = instant::max();
  bool unshown_ = true;  ///< The state has changed since.
  instant now_{};

  mutable std::mutex mutex_;
  std::shared_ptr<const cluster_state> shown_;
  agent::standing standing_;
  std::optional<instant> beacon_shown_;
};

}  // namespace troupe::cluster
