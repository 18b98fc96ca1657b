// SPDX-License-Identifier: Apache-2.0
#include "cluster/membership.hpp"

#include <algorithm>

namespace troupe::cluster {

void membership::hear(node_report report, const peer_id& via, instant now, wall_time wall) {
  auto found = nodes_.find(report.name);
  if (found == nodes_.end()) {
    if (nodes_.size() >= max_nodes) return;
    found = nodes_.try_emplace(report.name).first;
  }
  node& one = found->second;
  report.heard = wall;
  one.report = std::move(report);
  one.via = via;
  one.heard = now;
}

void membership::hear(const std::string& name, instant now) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) return;
  node& one = found->second;
  // What people are shown goes along, or they would take a node for gone that a push waits for.
  one.report.heard += std::chrono::duration_cast<wall_time::duration>(now - one.heard);
  one.heard = now;
}

void membership::acknowledged(const std::string& name, const position& at) {
  const auto found = nodes_.find(name);
  if (found != nodes_.end() && found->second.report.at.is_before(at)) found->second.report.at = at;
}

void membership::serves(const std::string& name, const std::string& app, std::uint32_t release) {
  const auto found = nodes_.find(name);
  if (found != nodes_.end()) found->second.report.active[app] = release;
}

void membership::expect(node_report report, instant now, wall_time wall) {
  if (nodes_.contains(report.name)) return;
  hear(std::move(report), {}, now - 2 * live_for, wall - 2 * live_for);
}

void membership::remove(const std::string& name) {
  nodes_.erase(name);
}

const membership::node* membership::find(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found != nodes_.end() ? &found->second : nullptr;
}

bool membership::is_live(const std::string& name, instant now) const {
  const node* one = find(name);
  return one != nullptr && now - one->heard <= live_for;
}

std::vector<const membership::node*> membership::live(const selector& who, instant now) const {
  std::vector<const node*> result;
  for (const auto& [name, one] : nodes_) {
    if (now - one.heard <= live_for && who.matches(name, one.report.labels)) result.push_back(&one);
  }
  return result;
}

std::vector<peer_id> membership::sources(std::string_view but, std::size_t most,
                                         instant now) const {
  std::map<std::map<std::string, std::uint32_t>, std::vector<const node*>> by_releases;
  for (const auto& [name, one] : nodes_) {
    if (name != but && now - one.heard <= live_for) by_releases[one.report.active].push_back(&one);
  }
  std::vector<peer_id> result;
  for (std::size_t turn = 0; result.size() < most; ++turn) {
    bool is_last_turn = true;
    for (const auto& [releases, those] : by_releases) {
      if (turn >= those.size() || result.size() == most) continue;
      is_last_turn = false;
      // Many nodes of one relay are one link.
      const peer_id& via = those[turn]->via;
      if (std::find(result.begin(), result.end(), via) == result.end()) result.push_back(via);
    }
    if (is_last_turn) break;
  }
  return result;
}

std::vector<node_report> membership::reports() const {
  std::vector<node_report> result;
  result.reserve(nodes_.size());
  for (const auto& [name, one] : nodes_) result.push_back(one.report);
  return result;
}

}  // namespace troupe::cluster
