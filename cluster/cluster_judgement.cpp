// SPDX-License-Identifier: Apache-2.0
//
// cluster_state: whether an order may be taken. Nothing here changes the state.
#include "cluster/cluster_state.hpp"

#include "cluster/curve_key.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {
namespace {

tl::unexpected<refusal> refuse(refusal_errc errc, std::string reason) {
  return tl::unexpected(refusal{.errc = errc, .reason = std::move(reason), .file = {}});
}

tl::unexpected<refusal> denied(std::string reason) {
  return refuse(refusal_errc::denied, std::move(reason));
}

tl::unexpected<refusal> conflict(std::string reason) {
  return refuse(refusal_errc::conflict, std::move(reason));
}

constexpr key_roles all_roles = 15;

bool has_role(key_roles roles, key_role role) {
  constexpr auto admin = static_cast<key_roles>(key_role::admin);
  return (roles & (admin | static_cast<key_roles>(role))) != 0;
}

/// What a grant says, if it is one.
std::optional<trust_order> granted(const signed_order& grant) {
  const auto what = order::decode(grant.bytes);
  const auto* trust = what ? std::get_if<trust_order>(&what->body) : nullptr;
  if (trust == nullptr || trust->does != trust_order::what::add_token) return std::nullopt;
  return *trust;
}

}  // namespace

bool is_cluster_name(std::string_view text) {
  return !text.empty() && text.size() <= order::max_name_bytes &&
         std::ranges::all_of(text, [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

tl::expected<order, refusal> cluster_state::judge(const signed_order& what, wall_time now,
                                                  signature_check how) const {
  // Nothing is parsed before its signature has been checked.
  if (has_keys() && what.signature.empty()) {
    return denied("the order is not signed, and this cluster has keys");
  }
  if (!what.signature.empty() && how == signature_check::needed && !what.is_genuine()) {
    return denied("the order's signature is not genuine");
  }
  auto decoded = order::decode(what.bytes);
  if (!decoded) return decoded;
  if (auto fine = judge_order(what, *decoded, now); !fine) return tl::unexpected(fine.error());
  return decoded;
}

cluster_state::judged cluster_state::judge_place(const change& next, const order& what) const {
  if (next.seq != at_.seq + 1) {
    return conflict("change " + std::to_string(next.seq) + " does not follow change " +
                    std::to_string(at_.seq));
  }
  if (next.parent != at_.state) {
    return conflict("change " + std::to_string(next.seq) + " follows another history");
  }
  const auto* promoted = std::get_if<promote_order>(&what.body);
  const std::uint64_t epoch = promoted != nullptr ? promoted->epoch : at_.epoch;
  if (next.epoch != epoch) {
    return conflict("change " + std::to_string(next.seq) + " is of epoch " +
                    std::to_string(next.epoch) + ", not " + std::to_string(epoch));
  }
  std::uint32_t number = 0;
  if (std::holds_alternative<release_order>(what.body)) {
    const auto app = apps_.find(what.app);
    number = app == apps_.end() ? 1 : app->second.last_number + 1;
  }
  if (next.release != number) {
    return conflict("change " + std::to_string(next.seq) + " gives release number " +
                    std::to_string(next.release) + ", not " + std::to_string(number));
  }
  return {};
}

cluster_state::judged cluster_state::judge_order(const signed_order& signed_one, const order& what,
                                                 std::optional<wall_time> now) const {
  if (seq_of(what.id)) return conflict("order " + text(what.id) + " has been taken already");
  return std::visit([&](const auto& body) { return judge_body(signed_one, what, body, now); },
                    what.body);
}

cluster_state::judged cluster_state::needs(const signed_order& what, key_role role) const {
  if (!has_keys()) return {};
  const auto found = trusted_.find(what.signer);
  if (found == trusted_.end()) {
    return denied("the key " + what.signer.text() +
                  (revoked_.contains(what.signer) ? " has been revoked" : " is not trusted here"));
  }
  if (!has_role(found->second.roles, role)) {
    return denied("the key " + what.signer.text() + " (" + found->second.name +
                  ") has not the role " +
                  std::string(names_of(static_cast<key_roles>(role)).front()));
  }
  return {};
}

cluster_state::judged cluster_state::needs_controller(const signed_order& what) const {
  if (!has_keys()) return {};
  if (leaders_.empty()) return denied("only the controller may order this, and there is none");
  if (leaders_.back().signing != what.signer) {
    return denied("only the controller \"" + leaders_.back().name + "\" may order this");
  }
  return {};
}

cluster_state::judged cluster_state::judge_push(const order& what, const selector& to,
                                                const push_policy& policy,
                                                std::optional<std::uint32_t> expect) const {
  if (!is_cluster_name(what.app)) return refuse(refusal_errc::malformed, "no name of an app");
  if (to.percent < 1 || to.percent > 100 || policy.require_percent > 100 ||
      policy.canary_percent > 99) {
    return refuse(refusal_errc::malformed, "a share that is none");
  }
  const auto app = apps_.find(what.app);
  const std::uint32_t active = app == apps_.end() ? 0 : app->second.active_everywhere();
  if (expect && *expect != active) {
    return refuse(refusal_errc::overtaken, "release " + std::to_string(active) +
                                               " is active, not " + std::to_string(*expect));
  }
  if (app == apps_.end()) {
    if (apps_.size() >= max_apps) return refuse(refusal_errc::too_large, "too many apps");
    return {};
  }
  if (app->second.under_way) {
    return conflict("push " + text(app->second.under_way->id) + " of this app is under way");
  }
  if (app->second.active.size() >= max_activations) {
    return refuse(refusal_errc::too_large,
                  "too many releases are active on some nodes only: push one to all first");
  }
  return {};
}

cluster_state::judged cluster_state::judge_body(const signed_order& signed_one, const order& what,
                                                const release_order& body,
                                                std::optional<wall_time>) const {
  if (auto fine = needs(signed_one, key_role::push); !fine) return fine;
  return judge_push(what, body.to, body.policy, body.expect);
}

cluster_state::judged cluster_state::judge_body(const signed_order& signed_one, const order& what,
                                                const rollback_order& body,
                                                std::optional<wall_time>) const {
  if (auto fine = needs(signed_one, key_role::push); !fine) return fine;
  if (auto fine = judge_push(what, body.to, body.policy, body.expect); !fine) return fine;
  const auto app = apps_.find(what.app);
  const release_info* found = nullptr;
  if (app != apps_.end()) {
    const auto release = app->second.releases.find(body.release);
    if (release != app->second.releases.end()) found = &release->second;
  }
  if (found == nullptr) {
    return refuse(refusal_errc::missing, "there is no release " + std::to_string(body.release) +
                                             " of " + what.app + " (any more)");
  }
  if (has_keys() && !found->is_proven &&
      !(found->ordered.is_genuine() && could(found->ordered.signer, key_role::push, found->seq))) {
    return denied("release " + std::to_string(body.release) + " was not ordered by a trusted key");
  }
  return {};
}

cluster_state::judged cluster_state::judge_body(const signed_order& signed_one, const order&,
                                                const config_order& body,
                                                std::optional<wall_time>) const {
  if (auto fine = needs(signed_one, key_role::config); !fine) return fine;
  if (body.key.empty()) return refuse(refusal_errc::malformed, "a config key without a name");
  if (body.scope.percent < 1) return refuse(refusal_errc::malformed, "a share that is none");
  const scoped_value* now = nullptr;
  if (const auto found = config_.find(body.key); found != config_.end()) {
    const auto at = std::ranges::find(found->second, body.scope, &scoped_value::scope);
    if (at != found->second.end()) now = &*at;
  }
  if (body.previous && *body.previous != (now == nullptr ? 0 : now->seq)) {
    return refuse(refusal_errc::overtaken, "the value of " + body.key + " was set by change " +
                                               std::to_string(now == nullptr ? 0 : now->seq) +
                                               ", not " + std::to_string(*body.previous));
  }
  if (!body.value) {
    if (now == nullptr) return refuse(refusal_errc::missing, body.key + " is not set");
    return {};
  }
  const std::size_t before = now == nullptr ? 0 : now->value.size();
  if ((now == nullptr && config_count_ >= max_config_values) ||
      config_bytes_ - before + body.value->size() > max_config_bytes) {
    return refuse(refusal_errc::too_large, "too many config values");
  }
  return {};
}

cluster_state::judged cluster_state::judge_body(const signed_order& signed_one, const order&,
                                                const trust_order& body,
                                                std::optional<wall_time>) const {
  if (!has_keys()) {
    return denied("this cluster has no keys: `troupe keys init`, and start its nodes with them");
  }
  if (auto fine = needs(signed_one, key_role::admin); !fine) return fine;
  if (trust_.size() >= max_trust_orders || tokens_.size() >= max_tokens) {
    return refuse(refusal_errc::too_large, "too many keys and tokens");
  }
  switch (body.does) {
    case trust_order::what::add:
      if (body.roles == 0 || body.roles > all_roles) {
        return refuse(refusal_errc::malformed, "a key without a role");
      }
      if (revoked_.contains(body.key)) {
        return denied("the key " + body.key.text() + " has been revoked; make a new one");
      }
      return {};
    case trust_order::what::revoke: {
      if (!trusted_.contains(body.key)) {
        return refuse(refusal_errc::missing, "the key " + body.key.text() + " is not trusted");
      }
      const bool another = std::ranges::any_of(trusted_, [&](const auto& one) {
        return one.first != body.key && has_role(one.second.roles, key_role::admin);
      });
      if (!another) return conflict("it is the last key with the role admin");
      return {};
    }
    case trust_order::what::add_token:
      if (!is_curve_key(body.token)) return refuse(refusal_errc::malformed, "no token's key");
      if (used_tokens_.contains(body.token)) return conflict("the token has been used");
      return {};
    case trust_order::what::revoke_node:
      if (!members_.contains(body.name)) {
        return refuse(refusal_errc::missing, "there is no member \"" + body.name + '"');
      }
      if (controller() == body.name) {
        return conflict("\"" + body.name + "\" is the controller: promote another first");
      }
      return {};
  }
  return refuse(refusal_errc::malformed, "an order of trust that is none");
}

cluster_state::judged cluster_state::judge_body(const signed_order& signed_one, const order&,
                                                const member_order& body,
                                                std::optional<wall_time> now) const {
  if (!is_cluster_name(body.name)) return refuse(refusal_errc::malformed, "no name of a node");
  const auto found = members_.find(body.name);
  const member_info* known = found == members_.end() ? nullptr : &found->second;
  const bool leads = controller() == body.name;
  if (body.removed) {
    if (known == nullptr) {
      return refuse(refusal_errc::missing, "there is no member \"" + body.name + '"');
    }
    if (leads) return conflict("\"" + body.name + "\" is the controller: promote another first");
    if (signed_one.signer == known->signing) return {};
    return needs(signed_one, key_role::admin);
  }
  if (known == nullptr && members_.size() >= max_members) {
    return refuse(refusal_errc::too_large, "too many members");
  }
  if (!has_keys()) return {};
  if (!is_curve_key(body.curve) || body.signing == public_key()) {
    return refuse(refusal_errc::malformed, "a member without keys");
  }
  if (revoked_curves_.contains(body.curve) || revoked_.contains(body.signing)) {
    return denied("the keys of \"" + body.name +
                  "\" have been revoked; remove DATA/keys of the "
                  "node, and it makes new ones");
  }
  const bool same_keys =
      known != nullptr && known->curve == body.curve && known->signing == body.signing;
  if (!same_keys && member_curves_.contains(body.curve) &&
      (known == nullptr || known->curve != body.curve)) {
    return conflict("another member has the CURVE key of \"" + body.name + '"');
  }
  if (leads && !same_keys) return conflict("\"" + body.name + "\" is the controller");
  if (needs(signed_one, key_role::admin)) return {};
  if (signed_one.signer != body.signing) return needs(signed_one, key_role::admin);
  // By itself: its address, or all of it with a grant.
  if (same_keys && body.may_lead <= known->may_lead) return {};
  if (body.grant.empty()) {
    return denied("\"" + body.name + "\" is no member, and has no token (`troupe keys token`)");
  }
  if (known != nullptr && !same_keys) {
    return denied("there is a member \"" + body.name + "\" with other keys");
  }
  return judge_grant(body, now);
}

cluster_state::judged cluster_state::judge_grant(const member_order& who,
                                                 std::optional<wall_time> now) const {
  const auto grant = signed_order::decode(who.grant);
  if (!grant) return tl::unexpected(grant.error());
  if (!grant->is_genuine()) return denied("the token's signature is not genuine");
  if (auto fine = needs(*grant, key_role::admin); !fine) return fine;
  const auto says = granted(*grant);
  if (!says) return denied("the token is none");
  if (used_tokens_.contains(says->token)) return denied("the token has been used");
  if (now && *now > says->token_ends) return denied("the token has expired");
  if (who.may_lead && !says->may_lead) return denied("the token is for no controller");
  return {};
}

bool cluster_state::could(const public_key& signer, key_role role, std::uint64_t seq) const {
  const auto revoked = revoked_.find(signer);
  if (revoked != revoked_.end() && revoked->second < seq) return false;
  const auto root = root_.find(signer);
  if (root != root_.end() && has_role(root->second.roles, role)) return true;
  const auto added = added_.find(signer);
  if (added == added_.end()) return false;
  // As it was added last before then.
  for (auto it = added->second.rbegin(); it != added->second.rend(); ++it) {
    if (it->seq < seq) return has_role(it->key.roles, role);
  }
  return false;
}

bool cluster_state::is_proof(const signed_order& what, std::uint64_t seq) const {
  if (!what.is_genuine()) return false;
  if (could(what.signer, key_role::admin, seq)) return true;
  const auto decoded = order::decode(what.bytes);
  const auto* who = decoded ? std::get_if<member_order>(&decoded->body) : nullptr;
  if (who == nullptr || who->signing != what.signer) return false;
  const auto grant = signed_order::decode(who->grant);
  if (!grant || !grant->is_genuine() || !could(grant->signer, key_role::admin, seq)) return false;
  const auto says = granted(*grant);
  return says && (says->may_lead || !who->may_lead);
}

cluster_state::judged cluster_state::judge_body(const signed_order& signed_one, const order&,
                                                const promote_order& body,
                                                std::optional<wall_time>) const {
  if (!is_cluster_name(body.node)) return refuse(refusal_errc::malformed, "no name of a node");
  if (body.epoch <= at_.epoch || body.epoch - at_.epoch > max_epoch_step) {
    return conflict("epoch " + std::to_string(body.epoch) + " does not follow epoch " +
                    std::to_string(at_.epoch));
  }
  if (!has_keys()) return {};
  const auto found = members_.find(body.node);
  if (found == members_.end()) {
    return refuse(refusal_errc::missing, "there is no member \"" + body.node + '"');
  }
  const member_info& who = found->second;
  if (!(who.may_lead && signed_one.signer == who.signing)) {
    if (auto fine = needs(signed_one, key_role::admin); !fine) return fine;
  }
  if (!who.is_proven && !is_proof(who.ordered, who.seq)) {
    return denied("\"" + body.node + "\" was not made a member by a trusted key");
  }
  return {};
}

cluster_state::judged cluster_state::judge_body(const signed_order& signed_one, const order& what,
                                                const activate_order& body,
                                                std::optional<wall_time>) const {
  if (auto fine = needs_controller(signed_one); !fine) return fine;
  const auto app = apps_.find(what.app);
  if (app == apps_.end() || !app->second.under_way || app->second.under_way->id != body.push) {
    const push_record* done = outcome(body.push);
    if (done != nullptr && done->step == push_step::aborted) {
      return conflict("push " + text(body.push) + " has been aborted");
    }
    return conflict("push " + text(body.push) + " is not under way");
  }
  const push_record& push = *app->second.under_way;
  if (body.release != push.release) {
    return conflict("push " + text(body.push) + " is of release " + std::to_string(push.release) +
                    ", not " + std::to_string(body.release));
  }
  if (body.to == push.to) return {};
  if (push.policy.canary_percent == 0) {
    return conflict("push " + text(body.push) + " has no canary, and is for other nodes");
  }
  if (push.step != push_step::preparing) {
    return conflict("push " + text(body.push) + " has its canary already");
  }
  if (body.to.percent < 1 || !push.to.covers(body.to)) {
    return conflict("the canary of push " + text(body.push) + " is for more nodes than the push");
  }
  return {};
}

cluster_state::judged cluster_state::judge_body(const signed_order& signed_one, const order& what,
                                                const abort_order& body,
                                                std::optional<wall_time>) const {
  if (auto fine = needs_controller(signed_one); !fine) return fine;
  const auto app = apps_.find(what.app);
  if (app == apps_.end() || !app->second.under_way || app->second.under_way->id != body.push) {
    return conflict("push " + text(body.push) + " is not under way");
  }
  return {};
}

cluster_state::judged cluster_state::judge_body(const signed_order& signed_one, const order&,
                                                const checkpoint_order& body,
                                                std::optional<wall_time>) const {
  if (auto fine = needs_controller(signed_one); !fine) return fine;
  const digest ours = digest::of(encode());
  if (body.state != ours) {
    return conflict("the state at change " + std::to_string(at_.seq) + " is " + ours.text() +
                    " here, and " + body.state.text() + " at the controller");
  }
  return {};
}

}  // namespace troupe::cluster
