// SPDX-License-Identifier: Apache-2.0
//
// What each change does to the state; cluster_judgement.cpp has whether it may,
// cluster_snapshot.cpp its encoded form.
#include "cluster/cluster_state.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace troupe::cluster {
namespace {

/// Used and unused tokens are forgotten so long after their end: clocks of controllers may differ.
constexpr std::chrono::hours tokens_kept{24 * 7};

}  // namespace

std::size_t cluster_state::order_id_hash::operator()(const order_id& id) const noexcept {
  std::size_t value = 0;  // it is random
  std::memcpy(&value, id.data(), sizeof value);
  return value;
}

std::uint32_t app_state::active_on(std::string_view node, const label_map& labels) const {
  for (auto it = active.rbegin(); it != active.rend(); ++it) {
    if (it->to.matches(node, labels)) return it->release;
  }
  return 0;
}

std::uint32_t app_state::active_everywhere() const {
  for (auto it = active.rbegin(); it != active.rend(); ++it) {
    if (it->to.is_everyone()) return it->release;
  }
  return 0;
}

cluster_state::cluster_state(std::map<public_key, trusted_key> root)
    : root_(std::move(root)), trusted_(root_) {}

const std::map<std::string, app_state, std::less<>>& cluster_state::apps() const noexcept {
  return apps_;
}

const std::map<std::string, std::vector<scoped_value>, std::less<>>& cluster_state::config()
    const noexcept {
  return config_;
}

std::map<std::string, std::string, std::less<>> cluster_state::config_of(
    std::string_view node, const label_map& labels) const {
  std::map<std::string, std::string, std::less<>> result;
  for (const auto& [key, values] : config_) {
    const scoped_value* best = nullptr;
    for (const scoped_value& value : values) {  // by age
      const bool is_scoped = !value.scope.is_everyone();
      if (is_scoped ? value.scope.matches(node, labels)
                    : best == nullptr || best->scope.is_everyone()) {
        best = &value;
      }
    }
    if (best != nullptr) result.emplace_hint(result.end(), key, best->value);
  }
  return result;
}

const std::map<public_key, trusted_key>& cluster_state::trusted() const noexcept {
  return trusted_;
}

const std::map<std::string, member_info, std::less<>>& cluster_state::members() const noexcept {
  return members_;
}

const std::map<std::string, wall_time, std::less<>>& cluster_state::tokens() const noexcept {
  return tokens_;
}

bool cluster_state::has_keys() const noexcept {
  return !root_.empty();
}

std::string_view cluster_state::controller() const noexcept {
  return leaders_.empty() ? std::string_view() : leaders_.back().name;
}

const signed_order& cluster_state::promotion() const noexcept {
  static const signed_order none;
  return leaders_.empty() ? none : leaders_.back().promotion;
}

const push_record* cluster_state::outcome(const order_id& id) const {
  const auto found = outcomes_.find(id);
  return found == outcomes_.end() ? nullptr : &found->second;
}

std::optional<std::uint64_t> cluster_state::seq_of(const order_id& id) const {
  if (const auto found = seqs_.find(id); found != seqs_.end()) return found->second;
  for (const auto& [name, app] : apps_) {
    if (app.under_way && app.under_way->id == id) return app.under_way->seq;
  }
  return std::nullopt;
}

tl::expected<void, refusal> cluster_state::apply(const change& next, signature_check how) {
  if (has_keys() && next.ordered.signature.empty()) {
    return tl::unexpected(refusal{.errc = refusal_errc::denied,
                                  .reason = "the change " + std::to_string(next.seq) +
                                            " is not signed, and this cluster has keys",
                                  .file = {}});
  }
  if (!next.ordered.signature.empty() && how == signature_check::needed &&
      !next.ordered.is_genuine()) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::denied,
                .reason = "the signature of change " + std::to_string(next.seq) + " is not genuine",
                .file = {}});
  }
  const auto what = order::decode(next.ordered.bytes);
  if (!what) return tl::unexpected(what.error());
  if (auto fine = judge_place(next, *what); !fine) return fine;
  if (auto fine = judge_order(next.ordered, *what, std::nullopt); !fine) return fine;
  take(next, *what);
  at_ = next.after();
  return {};
}

void cluster_state::take(const change& next, const order& what) {
  std::visit([&](const auto& body) { take_body(next, what, body); }, what.body);
}

void cluster_state::remember(const order_id& id, std::uint64_t seq) {
  seqs_[id] = seq;
  finished_.push_back(id);
  while (finished_.size() > kept_outcomes) {
    seqs_.erase(finished_.front());
    outcomes_.erase(finished_.front());
    finished_.pop_front();
  }
}

void cluster_state::begin_push(const change& next, const order& what, std::uint32_t release,
                               const selector& to, const push_policy& policy) {
  app_state& app = apps_[what.app];
  app.under_way = push_record{.id = what.id,
                              .seq = next.seq,
                              .release = release,
                              .step = push_step::preparing,
                              .reason = {},
                              .to = to,
                              .policy = policy};
  app.under_way_order = next.ordered;
}

void cluster_state::end_push(app_state& of, push_step how, std::string reason) {
  push_record done = *std::exchange(of.under_way, std::nullopt);
  of.under_way_order = {};
  done.step = how;
  done.reason = std::move(reason);
  const order_id id = done.id;
  const std::uint64_t seq = done.seq;
  outcomes_.insert_or_assign(id, std::move(done));
  remember(id, seq);
  prune_releases(of);
  prune_leaders();
}

void cluster_state::prune_releases(app_state& of) {
  if (of.releases.size() <= kept_aborted) return;
  std::size_t were_active = 0;
  std::size_t aborted = 0;
  for (auto it = of.releases.end(); it != of.releases.begin();) {
    --it;
    const std::uint32_t number = it->first;
    const bool is_needed =
        (of.under_way && of.under_way->release == number) ||
        std::ranges::any_of(of.active, [&](const auto& one) { return one.release == number; });
    const bool is_kept =
        it->second.was_active ? ++were_active <= kept_releases : ++aborted <= kept_aborted;
    if (!is_needed && !is_kept) it = of.releases.erase(it);
  }
}

// Former controllers are kept as long as what they activated is active: it proves that they might.
void cluster_state::prune_leaders() {
  if (leaders_.size() <= 1) return;
  const auto is_needed = [&](const leader& one) {
    return std::ranges::any_of(apps_, [&](const auto& app) {
      return has_keys() && std::ranges::any_of(app.second.active, [&](const activation& active) {
               return active.ordered.signer == one.signing;
             });
    });
  };
  std::erase_if(leaders_, [&](const leader& one) {
    return one.epoch != leaders_.back().epoch && !is_needed(one);
  });
}

void cluster_state::take_body(const change& next, const order& what, const release_order& body) {
  app_state& app = apps_[what.app];
  app.last_number = next.release;
  app.releases.emplace(next.release, release_info{.number = next.release,
                                                  .parent = app.active_everywhere(),
                                                  .seq = next.seq,
                                                  .manifest = body.manifest,
                                                  .manifest_bytes = body.manifest_bytes,
                                                  .author = what.author,
                                                  .message = what.message,
                                                  .time = next.time,
                                                  .ordered = next.ordered,
                                                  .is_proven = true});
  begin_push(next, what, next.release, body.to, body.policy);
  prune_releases(app);
}

void cluster_state::take_body(const change& next, const order& what, const rollback_order& body) {
  begin_push(next, what, body.release, body.to, body.policy);
  apps_[what.app].releases.at(body.release).is_proven = true;
}

void cluster_state::take_body(const change& next, const order& what, const activate_order& body) {
  app_state& app = apps_[what.app];
  activation now{body.to, body.release, next.seq, next.ordered};
  const bool is_last = body.to == app.under_way->to;
  std::erase_if(app.active, [&](const activation& old) {
    // What a canary covers is needed again when it is aborted.
    return is_last && (now.to.covers(old.to) || old.seq == app.under_way->canary_seq);
  });
  app.active.push_back(std::move(now));
  if (is_last) {
    app.releases.at(body.release).was_active = true;
    return end_push(app, push_step::active, {});
  }
  app.under_way->step = push_step::canary;
  app.under_way->canary_seq = next.seq;
}

void cluster_state::take_body(const change&, const order& what, const abort_order& body) {
  app_state& app = apps_[what.app];
  std::erase_if(app.active,
                [&](const activation& one) { return one.seq == app.under_way->canary_seq; });
  end_push(app, push_step::aborted, body.reason);
}

void cluster_state::take_body(const change&, const order&, const checkpoint_order&) {}

void cluster_state::take_body(const change& next, const order& what, const config_order& body) {
  auto found = config_.find(body.key);
  if (found != config_.end()) {
    auto& values = found->second;
    const auto old = std::ranges::find(values, body.scope, &scoped_value::scope);
    if (old != values.end()) {
      config_bytes_ -= old->value.size();
      --config_count_;
      values.erase(old);
    }
  }
  if (body.value) {
    config_bytes_ += body.value->size();
    ++config_count_;
    auto& values = found != config_.end() ? found->second : config_[body.key];
    values.push_back({.scope = body.scope,
                      .value = *body.value,
                      .seq = next.seq,
                      .author = what.author,
                      .time = next.time,
                      .ordered = next.ordered});
  } else if (found != config_.end() && found->second.empty()) {
    config_.erase(found);
  }
  remember(what.id, next.seq);
}

void cluster_state::refresh_trusted() {
  trusted_ = root_;
  for (const auto& [key, added] : added_) trusted_.insert_or_assign(key, added.back().key);
  for (const auto& [key, seq] : revoked_) trusted_.erase(key);
}

void cluster_state::take_trust(const trust_entry& entry, const trust_order& what) {
  switch (what.does) {
    case trust_order::what::add:
      added_[what.key].push_back({{what.roles, what.name}, entry.seq});
      break;
    case trust_order::what::revoke:
      revoked_.emplace(what.key, entry.seq);
      break;
    case trust_order::what::revoke_node:
      revoked_.emplace(entry.node_signing, entry.seq);
      revoked_curves_.insert(entry.node_curve);
      break;
    case trust_order::what::add_token:
      return;
  }
  refresh_trusted();
}

void cluster_state::take_body(const change& next, const order& what, const trust_order& body) {
  remember(what.id, next.seq);
  if (body.does == trust_order::what::add_token) {
    const auto is_old = [&](const auto& one) { return one.second < next.time - tokens_kept; };
    std::erase_if(tokens_, is_old);
    std::erase_if(used_tokens_, is_old);
    tokens_.insert_or_assign(body.token, body.token_ends);
    return;
  }
  trust_entry entry{next.seq, next.ordered, {}, {}};
  if (body.does == trust_order::what::revoke_node) {
    const member_info& who = members_.find(body.name)->second;
    entry.node_curve = who.curve;
    entry.node_signing = who.signing;
    drop_member(body.name);
  }
  take_trust(entry, body);
  trust_.push_back(std::move(entry));
}

void cluster_state::drop_member(std::string_view name) {
  const auto found = members_.find(name);
  if (found == members_.end()) return;
  member_curves_.erase(found->second.curve);
  members_.erase(found);
}

void cluster_state::take_body(const change& next, const order& what, const member_order& body) {
  remember(what.id, next.seq);
  const auto found = members_.find(body.name);
  if (body.removed) return drop_member(body.name);
  // As judge_body() has it.
  if (has_keys() && next.ordered.signer == body.signing && found != members_.end() &&
      found->second.signing == body.signing && found->second.curve == body.curve &&
      body.may_lead <= found->second.may_lead && !needs(next.ordered, key_role::admin)) {
    // The order that made it a member goes on proving its keys.
    found->second.address = body.address;
    return;
  }
  if (!body.grant.empty()) {
    const auto grant = signed_order::decode(body.grant);
    const auto says = grant ? order::decode(grant->bytes) : tl::unexpected(refusal());
    if (says) {
      const auto* token = std::get_if<trust_order>(&says->body);
      if (token != nullptr && token->does == trust_order::what::add_token) {
        tokens_.erase(token->token);
        used_tokens_.insert_or_assign(token->token, token->token_ends);
      }
    }
  }
  drop_member(body.name);
  if (!body.curve.empty()) member_curves_.insert(body.curve);
  members_.emplace(body.name, member_info{.name = body.name,
                                          .curve = body.curve,
                                          .signing = body.signing,
                                          .address = body.address,
                                          .may_lead = body.may_lead,
                                          .seq = next.seq,
                                          .ordered = next.ordered,
                                          .is_proven = true});
}

void cluster_state::take_body(const change& next, const order& what, const promote_order& body) {
  remember(what.id, next.seq);
  leader now{.epoch = body.epoch,
             .seq = next.seq,
             .name = body.node,
             .signing = {},
             .promotion = next.ordered,
             .membership = {}};
  if (const auto found = members_.find(body.node); found != members_.end()) {
    found->second.is_proven = true;
    now.signing = found->second.signing;
    now.membership = found->second.ordered;
    now.member_seq = found->second.seq;
  }
  leaders_.push_back(std::move(now));
  prune_leaders();
}

}  // namespace troupe::cluster
