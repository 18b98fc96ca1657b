// SPDX-License-Identifier: Apache-2.0
#include "cluster/outcomes.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

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

std::optional<order_id> parse_order_id(std::string_view text) {
  order_id id{};
  if (text.size() != 2 * id.size()) return std::nullopt;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const char* const byte = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(byte, byte + 2, id[i], 16);
    if (error != std::errc{} || end != byte + 2) return std::nullopt;
  }
  return id;
}

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

outcomes::outcomes(std::vector<progress> known, std::function<void(const progress&)> store)
    : kept_(std::make_move_iterator(known.begin()), std::make_move_iterator(known.end())),
      store_(std::move(store)) {
  for (const progress& one : kept_) lines_ += one.nodes.size();
}

void outcomes::keep(progress outcome) {
  // A value's is in the history, and each of them would be a write to the disk.
  const bool is_push = outcome.release != 0 || outcome.state == "aborted";
  if (store_ && is_push) store_(outcome);
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
  const push_record* record = state.outcome(id);
  // What is kept may be of a history that was left.
  const bool was_taken =
      found != kept_.end() && (found->release != 0 || found->state != "aborted");
  const bool is_in_history = record != nullptr || state.seq_of(id);
  if (found != kept_.end() && was_taken == is_in_history) return *found;
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
