// SPDX-License-Identifier: Apache-2.0
//
// Between a controller (or another relay) and the nodes below: forwards announcements, serves
// history and contents from its own node's store, batches acknowledgements, hands requests up. Also
// what a node that binds and could lead is as long as it does not.
//
// It decides nothing and is trusted with nothing but time: what it forwards is signed.
//
// Source   docs/cluster.md, "Relays".
// Thread   cluster.
// Errors   logged.
// Called   by cluster/agent, tests/cluster's simulation.
#pragma once

#include "cluster/follower.hpp"

#include <memory>

namespace troupe::cluster {

class relay {
 public:
  struct options {
    std::string name;
    log_function log;
  };
  /// @param own  the node's follower, which is fed beside the relay: what it has taken is what the
  ///             relay serves.
  relay(options how, const follower& own, change_log& own_log, blob_source& blobs,
        lower_links& lower, upper_link& upper);
  ~relay();

  /// From above, on the announcement socket; the follower gets it too.
  void on_announced(std::string_view topic, const message& what, instant now);
  /// From above, on the request socket. @return whether it answers what the relay asked; if not it
  /// is the follower's or the agent's.
  bool on_answer(const message& what, instant now);
  /// From below.
  void on_message(const peer_id& from, message what, instant now);
  void on_subscribed(const peer_id& who, std::string_view topic, instant now);
  void on_gone(const peer_id& who, instant now);
  void tick(instant now);
  [[nodiscard]] instant next_tick() const;

  /// Who is live below.
  [[nodiscard]] std::vector<node_report> nodes(instant now) const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::cluster
