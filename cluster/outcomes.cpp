// SPDX-License-Identifier: Apache-2.0
#include "cluster/outcomes.hpp"

#include <algorithm>

namespace troupe::cluster {
namespace {

constexpr std::size_t max_kept = 200;
/// Of all together: with a thousand nodes the last twenty have theirs.
constexpr std::size_t max_lines = 20'000;

/// As JSON calls it.
std::string_view error_name(refusal_errc code) {
  switch (code) {
    case refusal_errc::denied:
      return "denied";
    case refusal_errc::overtaken:
      return "overtaken";
    case refusal_errc::conflict:
      return "conflict";
    case refusal_errc::not_leader:
      return "no_controller";
    case refusal_errc::missing:
      return "missing";
    case refusal_errc::malformed:
    case refusal_errc::too_large:
    case refusal_errc::unsupported:
      return "malformed";
    default:
      return "failed";
  }
}

}  // namespace

progress refused_order(const order_id& id, const refusal& why) {
  progress result;
  result.id = id;
  result.done = true;
  result.state = "aborted";
  result.error = error_name(why.errc);
  result.reason = why.reason;
  return result;
}

bool stays_refused(const order& what, const refusal& why) {
  const bool is_push = std::holds_alternative<release_order>(what.body) ||
                       std::holds_alternative<rollback_order>(what.body);
  return is_push && (why.errc == refusal_errc::conflict || why.errc == refusal_errc::missing);
}

void outcomes::keep(progress outcome) {
  lines_ += outcome.nodes.size();
  kept_.push_back(std::move(outcome));
  const auto forget_nodes = [this](progress& of) {
    lines_ -= of.nodes.size();
    of.nodes = {};
  };
  for (std::size_t i = 0; lines_ > max_lines && i + 1 < kept_.size(); ++i) forget_nodes(kept_[i]);
  if (kept_.size() <= max_kept) return;
  forget_nodes(kept_.front());
  kept_.pop_front();
}

void outcomes::came_after_all(const acknowledgement& ack) {
  const auto found = std::find_if(kept_.begin(), kept_.end(),
                                  [&](const progress& one) { return one.id == ack.push; });
  if (found == kept_.end() || ack.step != ack_step::applied) return;
  for (node_progress& one : found->nodes) {
    if (one.name == ack.node && one.state == node_outcome::behind) one.state = node_outcome::active;
  }
}

std::optional<progress> outcomes::find(const order_id& id, const cluster_state& state) const {
  const auto found = std::find_if(kept_.begin(), kept_.end(),
                                  [&](const progress& one) { return one.id == id; });
  if (found != kept_.end()) return *found;
  const push_record* record = state.outcome(id);
  if (record == nullptr && !state.seq_of(id)) return std::nullopt;
  progress result;
  result.id = id;
  result.done = true;
  if (record == nullptr) {
    result.state = "applied";
    return result;
  }
  result.release = record->release;
  result.reason = record->reason;
  result.state = record->step == push_step::active ? "active" : "aborted";
  if (record->step != push_step::active) result.error = "aborted";
  return result;
}

}  // namespace troupe::cluster
