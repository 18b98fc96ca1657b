// SPDX-License-Identifier: Apache-2.0
#include "cluster/ack_pace.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::cluster {

void ack_pace::acknowledged(const std::string& node, std::chrono::nanoseconds pause) {
  pace& its = nodes_[node];
  its.behind_since.reset();
  const auto sample = static_cast<double>(std::min<std::chrono::nanoseconds>(pause, unknown).count());
  if (its.samples++ == 0) {
    its.mean_ns = sample;
    its.deviation_ns = sample / 2;
    return;
  }
  its.deviation_ns += (std::abs(sample - its.mean_ns) - its.deviation_ns) / 4;
  its.mean_ns += (sample - its.mean_ns) / 8;
}

void ack_pace::left_behind(const std::string& node, instant since) {
  nodes_[node].behind_since = since;
}

bool ack_pace::came_after_all(const std::string& node, instant now) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || !found->second.behind_since) return false;
  const auto pause = now - *found->second.behind_since;
  found->second.behind_since.reset();
  // Longer than that it was not late but away, which says nothing of its pace.
  if (pause <= slow) acknowledged(node, pause);
  return true;
}

bool ack_pace::is_behind(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.behind_since.has_value();
}

std::chrono::nanoseconds ack_pace::patience(const std::string& node) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || found->second.samples < samples_needed) return unknown;
  const pace& its = found->second;
  if (its.mean_ns > std::chrono::duration<double, std::nano>(slow).count()) return least;
  const std::chrono::nanoseconds usual(
      static_cast<std::int64_t>(its.mean_ns + 2 * its.deviation_ns));
  return std::clamp<std::chrono::nanoseconds>(usual, least, slow);
}

}  // namespace troupe::cluster
