// SPDX-License-Identifier: Apache-2.0
//
// The cluster that is measured, as it is before its processes begin: keys of everybody, a history
// with all of them as members in a log on the disk, and what the processes tell each other.
//
// Called   by tests/bench/push_nodes.
#pragma once

#include "cluster/controller.hpp"
#include "cluster/curve_key.hpp"
#include "cluster/link_address.hpp"
#include "cluster/memory_log.hpp"
#include "cluster/sqlite_log.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace troupe::bench {

using namespace cluster;

template <class T>
T must(tl::expected<T, refusal> what) {
  if (!what) {
    std::fprintf(stderr, "push_nodes: %s\n", what.error().reason.c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return *std::move(what);
}

inline instant clock_now() {
  return std::chrono::steady_clock::now();
}
inline wall_time wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}
inline std::int64_t ns_of(instant at) {
  return at.time_since_epoch().count();
}

/// What the simulated nodes have seen, in memory that all processes share.
struct tally {
  std::atomic<int> count{0};
  std::atomic<std::int64_t> last{0};  ///< When; of the clock that all processes have.
  void add() {
    last.store(ns_of(clock_now()));
    ++count;
  }
};
struct shared_memory {
  tally announced, applied, served;
  std::atomic<int> ports[8]{};              ///< Of the controller, and the relays after it.
  std::atomic<bool> arrivals_first{false};  ///< All arrivals are noted before any is checked.
  std::atomic<std::int64_t> begun{0};       ///< When the nodes of a process began to connect.
  std::atomic<bool> all_at_once{false};   ///< Nodes connect; else some, and more when those are up.
  std::atomic<std::uint64_t> attempts{0};  ///< Of hostile clients.
  static shared_memory& make();
};

struct member_keys {
  std::string name;
  curve_pair links;
  signing_key signing;
};

class world {
 public:
  world(std::string folder, int nodes, int relays);

  [[nodiscard]] signed_order order_of(order_body what, const std::string& app = "default") const;
  /// These too are in the log before it begins; @return the state that a node has that was there.
  void append(std::vector<signed_order> more);
  [[nodiscard]] controller::options controller_options() const;
  [[nodiscard]] std::map<public_key, trusted_key> root() const;
  /// A log as a node has it that knows the history up to the last `mark`.
  [[nodiscard]] memory_log node_log() const;
  void mark();

  std::string folder;
  signing_key admin = must(signing_key::make());
  curve_pair tools = must(curve_pair::make());
  member_keys leader;
  std::vector<member_keys> relays;
  std::vector<member_keys> nodes;
  std::string log_path;

 private:
  void run(std::vector<signed_order> first);
  position at_;
  std::string snapshot_;
  position marked_at_;
  std::string marked_;
};

}  // namespace troupe::bench
