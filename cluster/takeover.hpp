// SPDX-License-Identifier: Apache-2.0
//
// How a node comes to lead when the controller is gone: it hears for a while where the nodes that
// it reaches stand, has its own follower take over the furthest history among them, and is then
// ready for a controller to be started on its log with the signed promotion.
//
// While it goes on, the agent lets the follower's upper link be link(), and gives it and the relay
// all messages from below.
//
// Source   docs/cluster.md, "Controllers".
// Thread   cluster.
// Errors   what it could not reach is named; it ends after its deadlines in any case.
// Called   by cluster/agent, tests/cluster's simulation.
#pragma once

#include "cluster/follower.hpp"

#include <memory>

namespace troupe::cluster {

class takeover {
 public:
  struct options {
    std::chrono::milliseconds listen{2'000};  ///< For hellos and beats of who comes.
    std::chrono::milliseconds fetch{5'000};   ///< Of histories that are further than ours, in all.
    log_function log;
  };
  takeover(options how, follower& own, lower_links& lower, instant now);
  ~takeover();

  /// For the follower while this goes on.
  [[nodiscard]] upper_link& link() noexcept;
  void on_message(const peer_id& from, const message& what, instant now);
  void tick(instant now);
  [[nodiscard]] instant next_tick() const;

  struct outcome {
    std::vector<std::string> reached;
    std::vector<std::string> unreachable;  ///< Further than we are, and did not answer.
  };
  /// Set when the follower has the furthest history that could be had.
  [[nodiscard]] const std::optional<outcome>& done() const noexcept;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::cluster
