// SPDX-License-Identifier: Apache-2.0
//
// A node's side of the protocol: joins, catches up, takes changes in order, prepares, activates,
// acknowledges, notices gaps by beacons, and repairs them. Every node has one, the controller too.
//
// No sockets, no clock, no thread of its own: what happens is told to it, with the time.
//
// Joining: the link comes up with its subscriptions, `node/NAME` the last of them; the welcome on
// it (or a beacon) shows that they hold, and the follower asks for what it lacks. When it lacks
// nothing it says hello, from when on it is waited for.
//
// Source   docs/cluster.md, "Joining and catching up".
// Thread   cluster; only `wake` is called from others.
// Errors   logged; what cannot be repaired stands in the node's report.
// Called   by cluster/agent, tests/cluster's simulation.
#pragma once

#include "cluster/blob_source.hpp"
#include "cluster/change_log.hpp"
#include "cluster/cluster_state.hpp"
#include "cluster/host.hpp"
#include "cluster/links.hpp"
#include "cluster/log_function.hpp"

#include <memory>
#include <unordered_set>

namespace troupe::cluster {

class follower {
 public:
  struct options {
    std::string name;
    std::string role = "node";  ///< node, controller, relay.
    std::string version;        ///< Of troupe.
    std::string address;        ///< Where it binds; empty: nowhere.
    label_map labels;
    std::map<public_key, trusted_key> root;  ///< Its own trust file; none: a cluster without keys.
    log_function log;
    /// From any thread: the host has answered, call tick() soon.
    std::function<void()> wake;
    /// After each change or snapshot that it has taken.
    std::function<void()> on_state;
  };
  /// The log is the node's own; what is in it is where the follower goes on. A controller's
  /// follower may have the controller's log: what is in it already is not appended again.
  follower(options how, change_log& own, blob_source& blobs, host& runtime, upper_link& upper);
  ~follower();

  /// Has the host activate what its own log says; asks the upper node when there is one.
  /// A log that cannot be read is the refusal.
  [[nodiscard]] tl::expected<void, refusal> start(instant now);
  /// Up: subscribed to everything, requests can be sent. Also when the upper node is another one.
  /// @param took  how long the link took to come up: where many link at once, what is to be heard
  ///              first takes longer too.
  void on_link(bool up, instant now, std::chrono::milliseconds took = {});
  /// What came on the announcement socket.
  void on_announced(std::string_view topic, message what, instant now);
  /// What came on the request socket: answers, repeats, and requests of a node that wants to lead.
  void on_message(message what, instant now);
  void tick(instant now);
  [[nodiscard]] instant next_tick() const;

  [[nodiscard]] const cluster_state& state() const noexcept;
  /// Whether it has heard a genuine beacon in the last three seconds and lacks nothing.
  [[nodiscard]] bool is_current(instant now) const noexcept;
  /// Whether genuine beacons come over the present link: there is a controller above.
  [[nodiscard]] bool hears(instant now) const noexcept;
  /// When it last heard a genuine beacon.
  [[nodiscard]] std::optional<instant> last_beacon() const noexcept;
  [[nodiscard]] node_report report() const;
  /// Contents that are in use, that releases of the history need, or that are on their way: what a
  /// sweep has to keep.
  [[nodiscard]] std::unordered_set<digest> needed() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::cluster
