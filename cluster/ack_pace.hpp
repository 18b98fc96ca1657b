// SPDX-License-Identifier: Apache-2.0
//
// How promptly each node acknowledges values, so that one that hangs is told from those that are only
// a little later than the others, and nobody waits for it.
//
// What counts is not how long a node takes but how long nothing has come from anybody: while others
// answer, the machines or the network are busy, and a node is no later than that. As TCP does with its
// round trips, a mean and a variance of these pauses are kept for each node, by which it is waited
// for. A node that is always late is not: who changes a value would wait for it each time.
//
// Source   docs/cluster.md, "Orders"; RFC 6298 for the smoothing.
// Thread   cluster.
// Called   by cluster/push_progress, cluster/controller.
#pragma once

#include "cluster/links.hpp"

#include <optional>
#include <string>
#include <unordered_map>

namespace troupe::cluster {

class ack_pace {
 public:
  /// Nobody is taken for late before nothing has come for so long.
  static constexpr std::chrono::microseconds least{3'500};
  /// A node that is usually later than this is slow: it is waited for no longer than the others.
  static constexpr std::chrono::milliseconds slow{100};
  /// A node whose pace is not known yet is waited for so long.
  static constexpr std::chrono::milliseconds unknown{1'000};
  static constexpr unsigned samples_needed = 8;

  /// It has acknowledged when nothing had come from anybody since `pause`.
  void acknowledged(const std::string& node, std::chrono::nanoseconds pause);
  /// It was not waited for any longer, nothing having come from anybody since.
  void left_behind(const std::string& node, instant since);
  /// Something came of it after that. @return whether it was left behind
  bool came_after_all(const std::string& node, instant now);
  /// Left behind, and nothing came of it since.
  [[nodiscard]] bool is_behind(const std::string& node) const;
  /// For how long nothing may come from anybody before this one is late.
  [[nodiscard]] std::chrono::nanoseconds patience(const std::string& node) const;
  void forget(const std::string& node) { nodes_.erase(node); }

 private:
  struct pace {
    double mean_ns = 0;
    double deviation_ns = 0;
    unsigned samples = 0;
    std::optional<instant> behind_since;
  };
  std::unordered_map<std::string, pace> nodes_;
};

}  // namespace troupe::cluster
