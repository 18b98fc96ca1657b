// SPDX-License-Identifier: Apache-2.0
//
// A controller's seat when the log is in etcd: it takes the leadership when nobody has it, reads
// the log, has its own promotion appended, and is then ready for a controller to be started on
// log().
//
// Source   docs/cluster.md, "Controllers".
// Thread   cluster; it wakes the loop when there is something to do.
// Errors   logged; it tries again as long as it lives.
// Called   by cluster/agent.
#pragma once

#include "cluster/cluster_state.hpp"
#include "cluster/etcd_log.hpp"
#include "cluster/leadership.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cluster {

class etcd_seat {
 public:
  using instant = std::chrono::steady_clock::time_point;
  using orders = std::vector<signed_order>;
  struct options {
    leadership::options office;
    std::map<public_key, trusted_key> root;
    /// What makes this node lead after `state`: its promotion to `epoch`, and before that what
    /// makes it a member if it is none.
    std::function<tl::expected<orders, refusal>(const cluster_state& state, std::uint64_t epoch)>
        first;
    /// Whether an empty etcd may begin with what this node has; another's history would be lost.
    std::function<bool()> may_begin;
    std::function<wall_time()> wall_clock;
    log_function log;
  };
  explicit etcd_seat(options how);
  ~etcd_seat();

  /// @param own  this node's own log: epochs up to its last are not given again, and an empty etcd
  ///             begins with it.
  void tick(const change_log& own, instant now);
  /// A controller may be on log(). When it is so no more, or the controller has lost, the
  /// controller is to be taken down, and then leave() called.
  [[nodiscard]] bool leads() const;
  [[nodiscard]] change_log& log() noexcept { return *log_; }
  void leave(instant now);
  /// Of whom etcd names; empty: nobody.
  [[nodiscard]] std::string leader_address() const;
  [[nodiscard]] std::string problem() const;

 private:
  enum class step : std::uint8_t { waiting, reading, beginning, promoting, leading };
  void tell_of_etcd();
  void read_log(const change_log& own, instant now);
  [[nodiscard]] tl::expected<void, refusal> begin_with(const change_log& own);
  void promote();
  void complain(const std::string& text);
  void fail(const std::string& what, const refusal& why, instant now);

  options how_;
  leadership office_;  ///< Before the log, whose thread asks it.
  step step_ = step::waiting;
  leadership::hold hold_;
  std::unique_ptr<etcd_log> log_;
  std::optional<refusal> failed_;
  std::size_t open_ = 0;  ///< Of the first orders.
  instant again_{};       ///< When to campaign.
  std::string problem_;
  bool is_etcd_away_ = false;  ///< As it was logged.
};

}  // namespace troupe::cluster
