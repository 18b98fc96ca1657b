// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster/simulation.hpp"

#include <algorithm>

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;

/// Whoever leads in an epoch, and where in it: what must never go back.
using place = std::tuple<std::uint64_t, std::string, std::uint64_t>;

}  // namespace

void simulation::check(machine& of) {
  const cluster_state& state = of.node->state();
  const position& at = state.at();
  if (at == of.was_at) return;
  const std::string under(state.controller());
  const auto rank = [&](const std::string& leader) {
    const auto member = state.members().find(leader);
    return how_.has_keys && member != state.members().end()
               ? std::string(member->second.signing.raw())
               : leader;
  };
  const place before{of.was_at.epoch, rank(of.was_under), of.was_at.seq};
  const place now{at.epoch, rank(under), at.seq};
  if (now < before) {
    problem(of.name + " went back from epoch " + std::to_string(of.was_at.epoch) + " of " +
            of.was_under + ", change " + std::to_string(of.was_at.seq) + ", to epoch " +
            std::to_string(at.epoch) + " of " + under + ", change " + std::to_string(at.seq));
  }
  of.was_at = at;
  of.was_under = under;
  const auto [seen, is_new] = seen_.try_emplace({at.epoch, under, at.seq}, at.state);
  if (!is_new && seen->second != at.state) {
    problem(of.name + " has another change " + std::to_string(at.seq) + " of epoch " +
            std::to_string(at.epoch) + " than others");
  }
}

std::string simulation::why_not_converged() const {
  const machine* head = leader();
  if (head == nullptr) return "nobody leads";
  const cluster_state& state = head->leads->state();
  for (const auto& one : machines_) {
    if (!one->is_up) return one->name + " is down";
    if (one->node->state().at() != state.at()) {
      return one->name + " (under " + one->upper + ") is at " +
             std::to_string(one->node->state().at().epoch) + "/" +
             std::to_string(one->node->state().at().seq) + ", the controller " + head->name +
             " at " + std::to_string(state.at().epoch) + "/" + std::to_string(state.at().seq) +
             ": " + one->node->report().problem;
    }
    for (const auto& [name, app] : state.apps()) {
      const std::uint32_t wanted = app.active_on(one->name, one->labels);
      const auto serves = one->serving.find(name);
      const auto release = app.releases.find(wanted);
      const bool is_it = serves != one->serving.end() && serves->second == wanted &&
                         release != app.releases.end() &&
                         one->serving_manifest[name] == release->second.manifest;
      if (wanted != 0 && !is_it) {
        return one->name + " does not serve release " + std::to_string(wanted) + " of " + name +
               ": " + one->node->report().problem;
      }
    }
    if (one->values != state.config_of(one->name, one->labels)) {
      return one->name + " has other values";
    }
  }
  return {};
}

bool simulation::is_converged() const {
  return why_not_converged().empty();
}

void simulation::converge() {
  heal();
  // What somebody ordered there is the last fault.
  run_until(
      [this] {
        return std::none_of(machines_.begin(), machines_.end(),
                            [](const auto& one) { return one->takes_over != nullptr; });
      },
      10'000ms);
  // Orders that are still on their way make changes of their own.
  run_for(4'500ms);
  if (!run_until([this] { return is_converged(); }, 500ms)) {
    problem("not converged 5 s after the last fault: " + why_not_converged());
  }
  // Who asks for its order again is told how it went.
  run_until(
      [this] {
        return std::all_of(clients_.begin(), clients_.end(),
                           [](const auto& one) { return one->is_done || one->gave_up; });
      },
      25'000ms);
  run_until([this] { return is_converged(); }, 5'000ms);
  check_in_the_end();
}

void simulation::check_log(const machine& of) {
  std::set<order_id> aborted;
  const auto list = of.log.read(of.log.begins_after(), 1u << 30);
  if (!list) return problem("the log of " + of.name + " cannot be read");
  for (const change& one : *list) {
    const auto what = order::decode(one.ordered.bytes);
    if (!what) return problem("an order in the log of " + of.name + " cannot be decoded");
    if (const auto* no = std::get_if<abort_order>(&what->body)) aborted.insert(no->push);
    const auto* yes = std::get_if<activate_order>(&what->body);
    if (yes != nullptr && aborted.contains(yes->push)) {
      problem("an activate follows the abort of its push");
    }
    const auto* release = std::get_if<release_order>(&what->body);
    if (release != nullptr && !ordered_manifests_.contains(release->manifest)) {
      problem("a release that nobody ordered is in the log");
    }
  }
}

void simulation::check_in_the_end() {
  if (const std::string why = why_not_converged(); !why.empty()) problem("in the end: " + why);
  machine* head = leader();
  if (head == nullptr) return;
  for (const auto& one : machines_) check_log(*one);
  std::set<order_id> aside;
  for (const auto& one : machines_) {
    const auto kept = one->log.aside();
    for (const change& lost : *kept) {
      if (const auto what = order::decode(lost.ordered.bytes)) aside.insert(what->id);
    }
  }
  const cluster_state& state = head->leads->state();
  for (const auto& one : clients_) {
    if (!one->is_done) {
      if (!one->gave_up)
        problem("an order was never answered: " + text(one->id) + " by " + one->via +
                ", contents to send: " + std::to_string(one->to_send.size()) + ", " +
                (one->last ? one->last->state : one->problem));
      continue;
    }
    const std::string& how = one->last->state;
    const bool is_acknowledged = how == "applied" || how == "active" || how == "partial";
    if (is_acknowledged && !state.seq_of(one->id) && !aside.contains(one->id)) {
      problem("an acknowledged order is lost: " + text(one->id) + " " + how);
    }
    const push_record* record = state.outcome(one->id);
    if (record != nullptr && how == "active" && record->step != push_step::active &&
        !aside.contains(one->id)) {
      problem("an order was said to be active and is not: " + text(one->id));
    }
    // What one that leads no more has refused, the next does not know of: another copy that is on
    // its way still is done.
    const bool is_said_by_it = one->answered_epoch == state.at().epoch;
    if (record != nullptr && how == "aborted" && record->step == push_step::active &&
        is_said_by_it && !aside.contains(one->id)) {
      problem("an order was said to be aborted and is active: " + text(one->id));
    }
  }
}

}  // namespace troupe::tests
