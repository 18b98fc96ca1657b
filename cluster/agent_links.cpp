// SPDX-License-Identifier: Apache-2.0
//
// Whom an agent links to, whom it lets in, and what it tells the cluster of itself.
#include "cluster/agent_core.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {

using namespace std::chrono_literals;

void agent_core::link_up(instant) {
  told_address_ = false;
  requests_.ask_again();
}

/// Members have to be that before they link with their own key.
bool agent_core::is_member() const {
  if (!keys_.has_keys) return true;
  const auto found = newest().members().find(how_.name);
  return found != newest().members().end() && found->second.curve == keys_.links.public_key;
}

void agent_core::refresh_allowed() {
  if (!zap_ || !keys_.has_keys) return;
  const cluster_state& state = newest();
  zap::allow_list allowed;
  for (const std::string& key : keys_.tools) allowed[key] = link_role::tools;
  const wall_time now = wall_now();
  for (const auto& [key, ends] : state.tokens()) {
    if (now < ends) allowed[key] = link_role::token;
  }
  for (const auto& [name, member] : state.members()) {
    if (!member.curve.empty()) allowed[member.curve] = link_role::member;
  }
  zap_->allow(std::move(allowed));
  allowed_at_ = state.at();
}

upper_address agent_core::with_key(const link_address& at) const {
  if (!keys_.has_keys) return {at, {}};
  for (const auto& [name, member] : newest().members()) {
    if (member.address == at.text()) return {at, member.curve};
  }
  return {at, keys_.server_at(at.text())};
}

/// Whom to link to, in this order.
std::vector<upper_address> agent_core::addresses() const {
  std::vector<std::string> texts;
  if (!seat_leader_.empty()) texts.push_back(seat_leader_);
  texts.insert(texts.end(), how_.join.begin(), how_.join.end());
  for (const auto& [address, key] : keys_.token_servers) texts.push_back(address);
  const cluster_state& state = newest();
  if (const auto leader = state.members().find(state.controller());
      leader != state.members().end() && !leader->second.address.empty()) {
    // A node of a relay stays there; one that binds and is none follows who leads.
    const bool is_first = moved_ || (lower_ && !how_.is_relay);
    const bool is_known = !seat_leader_.empty();  // etcd hears of it first
    texts.insert(is_first && !is_known ? texts.begin() : texts.end(), leader->second.address);
  }
  for (const auto& [name, member] : state.members()) {
    if (!member.address.empty()) texts.push_back(member.address);
  }
  std::vector<upper_address> result;
  for (const std::string& text : texts) {
    const auto at = link_address::parse(text);
    if (!at || text == address_) continue;
    const bool is_known = std::any_of(result.begin(), result.end(),
                                      [&](const upper_address& one) { return one.at == *at; });
    if (!is_known) result.push_back(with_key(*at));
  }
  return result;
}

void agent_core::refresh_addresses(instant now) {
  if (!upper_) return;
  auto those = addresses();
  if (enrolment_) enrolment_->addresses(those, now);
  if (!is_member() && !enrolment_) {
    const bool by_token = keys_.token.has_value();
    const auto pair = by_token       ? keys_.token
                      : keys_.folder ? std::optional(keys_.folder->tools())
                                     : std::nullopt;
    const bool may_lead = lower_ && (!by_token || keys_.token_may_lead) && !how_.is_relay;
    if (pair && keys_.membership(how_.name, address_, may_lead)) {
      enrolment_ = std::make_unique<enrolment>(
          *context_, *pair,
          [this, may_lead] { return *keys_.membership(how_.name, address_, may_lead); },
          by_token ? "the token is used up, has expired or is of another cluster; `troupe keys token` "
                     "makes a new one"
                   : "the keys in " + how_.key_folder + " are not those of its cluster",
          how_.log);
      loop_.add(*enrolment_);
      enrolment_->addresses(those, now);
    }
  }
  if (enrolment_ || those == upper_addresses_) return;
  const bool leader_changed = moved_ && !upper_addresses_.empty() && !those.empty() &&
                              those.front() != upper_addresses_.front();
  upper_addresses_ = those;
  upper_->addresses(std::move(those), now);
  if (leader_changed) upper_->connect_anew();
}

/// A member that binds elsewhere than the history says, or nowhere, tells so with its own key.
void agent_core::tell_own_address(instant now) {
  if (told_address_ || !follower_->is_current(now)) return;
  const auto found = newest().members().find(how_.name);
  const bool is_known = found != newest().members().end();
  if (is_known ? found->second.address == address_ : keys_.has_keys || !lower_) return;
  told_address_ = true;
  member_order own;
  own.name = how_.name;
  own.address = address_;
  own.may_lead = is_known ? found->second.may_lead : !how_.is_relay;
  if (keys_.has_keys) {
    own.curve = keys_.links.public_key;
    own.signing = keys_.signing->id();
  }
  const order what = fresh_order(how_.name, own);
  requests_.submit(
      keys_.has_keys ? signed_order::make(what, *keys_.signing) : signed_order::make_unsigned(what),
      [this](const progress& how_it_goes) {
        if (how_it_goes.done && !how_it_goes.error.empty()) {
          say(log_level::warn, "cluster: this node's address was not taken: " + how_it_goes.reason);
        }
      },
      now);
}

void agent_core::call_members(instant now) {
  const cluster_state& state = controller_->state();
  if (state.at().epoch < 2) return;  // nobody can have led before
  const auto heard = controller_->nodes(now);
  const wall_time wall = wall_now();
  for (const auto& [name, member] : state.members()) {
    if (name == how_.name || member.address.empty()) continue;
    const bool is_here = std::any_of(heard.begin(), heard.end(), [&, wanted = std::string_view(name)](const node_report& one) {
      return one.name == wanted && wall - one.heard < 5s;
    });
    const auto at = link_address::parse(member.address);
    if (!is_here && at) {
      calls_->call({*at, keys_.has_keys ? member.curve : std::string()}, controller_->proof(), now);
    }
  }
}

}  // namespace troupe::cluster
