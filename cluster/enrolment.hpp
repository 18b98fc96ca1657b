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
  enrolment(const zmq_context& context, curve_pair keys, std::function<signed_order()> membership,
            log_function log);

  void addresses(std::vector<upper_address> those, instant now);
  /// Whether there is nothing more to do here: it is a member.
  [[nodiscard]] bool is_done() const noexcept { return is_done_; }
  /// Why it is none yet.
  [[nodiscard]] const std::string& problem() const noexcept {
    return problem_.empty() ? link_.problem() : problem_;
  }

  void handles(std::vector<void*>& to) const override { link_.handles(to); }
  void pump(instant now) override;
  [[nodiscard]] instant next_tick() const override;

 private:
  void on_message(const message& what, instant now);
  std::function<signed_order()> membership_;
  log_function log_;
  upper_socket link_;
  std::optional<instant> submit_at_;
  bool is_done_ = false;
  std::string problem_;
};

}  // namespace troupe::cluster
