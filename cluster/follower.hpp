// SPDX-License-Identifier: Apache-2.0
//
// A node's side of the protocol: joins, catches up, takes changes in order, prepares, activates,
// acknowledges, notices gaps by beacons, and repairs them. Every node has one, the controller too.
//
// No sockets, no clock, no thread of its own: what happens is told to it, with the time.
//
// Source   docs/cluster.md, "Joining and catching up".
// Thread   cluster.
// Errors   logged; what cannot be repaired stands in the node's report.
// Called   by cluster/agent, tests/cluster's simulation.
#pragma once

#include "cluster/blob_store.hpp"
#include "cluster/change_log.hpp"
#include "cluster/cluster_state.hpp"
#include "cluster/host.hpp"
#include "cluster/links.hpp"

#include <memory>

namespace troupe::cluster {

enum class log_level { debug, info, notice, warn, error };
using log_function = std::function<void(log_level, std::string_view)>;

/// Contents, as the protocol needs them; blob_store and, for simulated nodes, memory.
class blob_source {
 public:
  virtual ~blob_source() = default;
  [[nodiscard]] virtual bool has(const digest& name) const = 0;
  [[nodiscard]] virtual tl::expected<std::string, refusal> get(const digest& name) const = 0;
  /// Verified.
  [[nodiscard]] virtual tl::expected<void, refusal> put(const digest& name,
                                                        std::string_view content) = 0;
  [[nodiscard]] virtual tl::expected<void, refusal> flush() = 0;
};

class follower {
 public:
  struct options {
    std::string name;
    label_map labels;
    std::map<public_key, trusted_key> root;  ///< Its own trust file; none: a cluster without keys.
    log_function log;
  };
  /// The log is the node's own; what is in it is where the follower goes on.
  follower(options how, change_log& own, blob_source& blobs, host& runtime, upper_link& upper);
  ~follower();

  void start(instant now);  ///< Has the host activate what its own log says; asks the upper node.
  void on_link(bool up, instant now);
  void on_announced(std::string_view topic, message what, instant now);
  void on_message(message what, instant now);
  void tick(instant now);
  [[nodiscard]] instant next_tick() const;

  [[nodiscard]] const cluster_state& state() const noexcept;
  /// Whether it has heard a genuine beacon in the last three seconds and lacks nothing.
  [[nodiscard]] bool is_current(instant now) const noexcept;
  [[nodiscard]] node_report report() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::cluster
