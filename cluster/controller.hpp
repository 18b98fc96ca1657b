// SPDX-License-Identifier: Apache-2.0
//
// The controller's side of the protocol: takes orders, puts them in order, announces, collects
// acknowledgements, decides `activate` or `abort`, repeats, beacons, answers who asks.
//
// No sockets, no clock, no thread of its own: what happens is told to it, with the time.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster.
// Errors   refusals to who ordered; the rest is logged.
// Called   by cluster/agent, tests/cluster's simulation.
#pragma once

#include "cluster/blob_source.hpp"
#include "cluster/change_log.hpp"
#include "cluster/cluster_state.hpp"
#include "cluster/links.hpp"
#include "cluster/log_function.hpp"

#include <memory>

namespace troupe::cluster {

class controller {
 public:
  struct options {
    std::string name;
    std::optional<signing_key> key;  ///< The node's; none: a cluster without keys.
    std::map<public_key, trusted_key> root;
    std::function<wall_time()> wall_clock;
    log_function log;
    std::uint64_t checkpoint_every = 1'000;  ///< Changes.
    /// How pushes went and what was refused, before this controller began; and where that is kept.
    std::vector<progress> outcomes = {};
    std::function<void(const progress&)> keep_outcome = {};
    /// Others may lead when this one is gone, and have its history but not its disk: contents are with
    /// one of them before their release is in the history.
    bool has_heirs = false;
    /// Links that were denied before a message of theirs came here; for lists.
    std::function<std::uint64_t()> denied_links = {};
    std::string no_promotion;  ///< Why nobody can be promoted by an order; empty: somebody can.
  };
  controller(options how, change_log& log, blob_source& blobs, lower_links& lower);
  ~controller();

  /// Appends `first` (of a new cluster: its member order and the promotion of itself; of a node
  /// that takes over: the promotion), aborts what its predecessor left undecided, and announces
  /// where the history stands. Refused: a log that cannot be read, or that says that another leads.
  [[nodiscard]] tl::expected<void, refusal> start(instant now,
                                                  std::vector<signed_order> first = {});
  void on_message(const peer_id& from, message what, instant now);
  void on_subscribed(const peer_id& who, std::string_view topic, instant now);
  void on_gone(const peer_id& who, instant now);
  void tick(instant now);
  [[nodiscard]] instant next_tick() const;

  /// The same as a `submit` of a peer; for orders that came over this node's control socket.
  void submit(const signed_order& what, std::function<void(const progress&)> on_progress,
              instant now);
  [[nodiscard]] const cluster_state& state() const noexcept;
  /// Heard within three beacons, or not, as far as it knows.
  [[nodiscard]] std::vector<node_report> nodes(instant now) const;
  /// Another leads, by a genuine promotion that it was shown or that is in its log: it appends
  /// nothing any more, and must be taken down. The node's own history may say for a while still
  /// that it leads: it does again only when that says so at a higher epoch than that in which this
  /// lost.
  [[nodiscard]] bool has_lost() const noexcept;
  /// What shows a node of an older epoch that this one leads: a `changes` with the promotion in it.
  /// For the agent to send to members that it can reach and that have not come by themselves.
  [[nodiscard]] message proof() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::cluster
