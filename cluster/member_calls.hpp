// SPDX-License-Identifier: Apache-2.0
//
// A new controller calls members that bind an address and have not come by themselves, and shows
// them that it leads: one that led before, and was away, steps down.
//
// Source   docs/cluster.md, "Controllers".
// Thread   cluster.
// Errors   none: who does not answer is called again later.
// Called   by cluster/agent_core.
#pragma once

#include "cluster/upper_socket.hpp"
#include "cluster/zmq_loop.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cluster {

class member_calls final : public loop_source {
 public:
  member_calls(const zmq_context& context, std::optional<curve_pair> keys)
      : context_(context), keys_(std::move(keys)) {}

  /// One call at a time for each.
  void call(const upper_address& whom, const message& proof, instant now);

  void handles(std::vector<void*>& to) const override;
  void pump(instant now) override;
  [[nodiscard]] instant next_tick() const override;

 private:
  struct one_call {
    upper_address whom;
    message proof;
    bool said = false;
    instant ends;
    std::unique_ptr<upper_socket> link;
  };
  const zmq_context& context_;
  std::optional<curve_pair> keys_;
  std::vector<std::unique_ptr<one_call>> calls_;
};

}  // namespace troupe::cluster
