// SPDX-License-Identifier: Apache-2.0
//
// How a node becomes a member: over a link with the operator's key or a join token it submits the
// order that says so, once; then it links with its own key.
//
// Source   docs/cluster.md, "Keys".
// Thread   cluster.
// Errors   logged when they change; it goes on trying, since the controller may be away.
// Called   by cluster/agent_core.
#pragma once

#include "cluster/upper_socket.hpp"
#include "cluster/zmq_loop.hpp"

#include <functional>
#include <optional>

namespace troupe::cluster {

class enrolment final : public loop_source {
 public:
  /// @param keys  of the operator's tools, or of the token.
  /// @param membership  made anew for each attempt: orders expire.
  /// @param if_denied   what is said to who looks after the node when these keys are not let in.
  enrolment(const zmq_context& context, curve_pair keys, std::function<signed_order()> membership,
            std::string if_denied, log_function log);

  void addresses(std::vector<upper_address> those, instant now);
  /// Whether there is nothing more to do here: it is a member.
  [[nodiscard]] bool is_done() const noexcept { return is_done_; }
  /// Why it is none yet.
  [[nodiscard]] std::string problem() const {
    return problem_.empty() ? explained(link_.problem()) : problem_;
  }

  void handles(std::vector<void*>& to) const override { link_.handles(to); }
  void pump(instant now) override;
  [[nodiscard]] instant next_tick() const override;

 private:
  void on_message(const message& what, instant now);
  [[nodiscard]] std::string explained(std::string_view problem) const;
  std::function<signed_order()> membership_;
  std::string if_denied_;
  log_function log_;
  upper_socket link_;
  std::optional<instant> submit_at_;
  bool is_done_ = false;
  std::string problem_;
};

}  // namespace troupe::cluster
