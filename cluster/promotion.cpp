// SPDX-License-Identifier: Apache-2.0
#include "cluster/promotion.hpp"

namespace troupe::cluster {
namespace {

/// Orders that a state remembers by their id; what is older cannot be looked for.
constexpr std::uint64_t remembered_orders = 10'000;

/// What two controllers of one epoch are ordered by.
std::string rank(const cluster_state& state, std::string_view controller) {
  const auto member = state.members().find(controller);
  if (state.has_keys() && member != state.members().end()) {
    return std::string(member->second.signing.raw());
  }
  return std::string(controller);
}

/// One that is under way there is aborted by whoever leads next.
bool is_active(const cluster_state& state, const order_id& push) {
  const push_record* record = state.outcome(push);
  return record != nullptr && record->step == push_step::active;
}

bool is_known(const cluster_state& ours, const cluster_state& theirs, const order_id& id) {
  return theirs.seq_of(id) && (!is_active(ours, id) || is_active(theirs, id));
}

}  // namespace

std::optional<message> proof_of(const cluster_state& state) {
  if (state.promotion().bytes.empty()) return std::nullopt;
  changes proof;
  change made;
  made.epoch = state.at().epoch;
  made.ordered = state.promotion();
  proof.list.push_back(std::move(made));
  proof.head = state.at();
  return proof;
}

bool is_superseded_by(const cluster_state& ours, const changes& proof) {
  if (proof.list.size() != 1) return false;
  const signed_order& shown = proof.list.front().ordered;
  if (ours.has_keys()) {
    const auto signer = ours.trusted().find(shown.signer);
    if (signer == ours.trusted().end() ||
        (signer->second.roles & static_cast<key_roles>(key_role::admin)) == 0 ||
        !shown.is_genuine()) {
      return false;
    }
  }
  const auto what = order::decode(shown.bytes);
  const auto* promotion = what ? std::get_if<promote_order>(&what->body) : nullptr;
  if (promotion == nullptr || promotion->node == ours.controller()) return false;
  if (promotion->epoch != ours.at().epoch) return promotion->epoch > ours.at().epoch;
  return rank(ours, promotion->node) > rank(ours, ours.controller());
}

bool outranks(const cluster_state& theirs, const cluster_state& ours) {
  if (theirs.at().epoch != ours.at().epoch) return theirs.at().epoch > ours.at().epoch;
  if (theirs.controller() == ours.controller()) return false;
  return rank(theirs, theirs.controller()) > rank(ours, ours.controller());
}

std::vector<change> lost_in(const change_log& log, const cluster_state& ours,
                            const cluster_state& theirs) {
  std::vector<change> result;
  std::uint64_t after = log.begins_after();
  while (true) {
    const auto list = log.read(after, 1 << 20);
    if (!list || list->empty()) return result;
    for (const change& one : *list) {
      after = one.seq;
      if (one.seq + remembered_orders <= theirs.at().seq) continue;
      const auto what = order::decode(one.ordered.bytes);
      if (!what || is_known(ours, theirs, what->id)) continue;
      const bool is_of_the_controller = std::holds_alternative<activate_order>(what->body) ||
                                        std::holds_alternative<abort_order>(what->body) ||
                                        std::holds_alternative<checkpoint_order>(what->body) ||
                                        std::holds_alternative<promote_order>(what->body);
      if (!is_of_the_controller) result.push_back(one);
    }
  }
}

bool has_checkpoint(const change& what) {
  const auto decoded = order::decode(what.ordered.bytes);
  return decoded && std::holds_alternative<checkpoint_order>(decoded->body);
}

bool is_one_step(const order& what) {
  return std::holds_alternative<config_order>(what.body) ||
         std::holds_alternative<trust_order>(what.body) ||
         std::holds_alternative<member_order>(what.body) ||
         std::holds_alternative<promote_order>(what.body);
}

}  // namespace troupe::cluster
