// SPDX-License-Identifier: Apache-2.0
#include "cluster/controller_impl.hpp"

#include "cluster/inline_blobs.hpp"
#include "cluster/manifest.hpp"
#include "cluster/promotion.hpp"

#include <algorithm>
#include <cstring>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t max_waiting_orders = 10'000;

/// As it is told before any node has heard of the order.
std::string state_of(const order& what) {
  const bool is_two_step = std::holds_alternative<release_order>(what.body) ||
                           std::holds_alternative<rollback_order>(what.body);
  return is_two_step ? "preparing" : "applying";
}

}  // namespace

signed_order controller::impl::own_order(std::string app, order_body body) const {
  order made;
  // Unique in the history: what follows a position by a controller happens once.
  const std::string seed = "controller " + how.name + ' ' + std::to_string(state.at().epoch) + ' ' +
                           std::to_string(state.at().seq + 1);
  const digest hash = digest::of(seed);
  std::memcpy(made.id.data(), hash.bytes.data(), made.id.size());
  made.app = std::move(app);
  made.author = how.name;
  made.time = how.wall_clock();
  made.expires = made.time + 24h;
  made.body = std::move(body);
  return how.key ? signed_order::make(made, *how.key) : signed_order::make_unsigned(made);
}

/// Why a release cannot be taken yet: its contents are to be here before it is.
std::optional<refusal> controller::impl::lacks(const order& what) const {
  const auto* release = std::get_if<release_order>(&what.body);
  if (release == nullptr) return std::nullopt;
  const auto bytes = blobs.get(release->manifest);
  if (!bytes) return bytes.error();
  if (bytes->size() != release->manifest_bytes) {
    return refusal{.errc = refusal_errc::malformed,
                   .reason = "the manifest is not as long as the order says"};
  }
  const auto files = manifest::decode(*bytes);
  if (!files) return files.error();
  for (const manifest_file& file : files->files) {
    if (!blobs.keeps(file.content)) {
      return refusal{.errc = refusal_errc::missing,
                     .reason = "the content of \"" + file.path + "\" was not sent",
                     .file = file.path};
    }
  }
  if (auto gate = canary_gate::parse(release->policy.stop_if); !gate) return gate.error();
  return std::nullopt;
}

void controller::impl::take(const signed_order& what, teller tell, instant now) {
  clock = now;
  order_id id{};
  const auto refuse = [&](const refusal& why) {
    if (why.errc == refusal_errc::denied) {
      ++denied;
      say(log_level::warn, "cluster: an order was denied: " + why.reason);
    }
    tell(refused_order(id, why));
  };
  if (is_lost || !is_started) {
    return refuse({.errc = refusal_errc::not_leader, .reason = "another controller leads"});
  }
  // Before anything of it is read.
  if (state.has_keys() && !what.is_genuine()) {
    return refuse({.errc = refusal_errc::denied,
                   .reason = what.signature.empty()
                                 ? "the order is not signed, and this cluster has keys"
                                 : "the order's signature is not genuine"});
  }
  const auto decoded = order::decode(what.bytes);
  if (!decoded) return refuse(decoded.error());
  id = decoded->id;
  if (const auto known = pushes.find(id); known != pushes.end()) {
    known->second.tellers.push_back(std::move(tell));
    known->second.tellers.back()(known->second.progress.report(members, now));
    return;
  }
  if (const auto known = early.find(id); known != early.end()) {
    known->second.tellers.push_back(std::move(tell));
    return;
  }
  if (const auto known = answered.find(id, state)) return tell(*known);
  if (decoded->expires < how.wall_clock()) {
    return refuse({.errc = refusal_errc::denied, .reason = "the order has expired"});
  }
  if (auto judged = state.judge(what, how.wall_clock(), signature_check::done); !judged) {
    if (stays_refused(*decoded, judged.error())) answered.keep(refused_order(id, judged.error()));
    return refuse(judged.error());
  }
  if (const auto* promote = std::get_if<promote_order>(&decoded->body)) {
    if (!how.no_promotion.empty()) {
      return refuse({.errc = refusal_errc::conflict, .reason = how.no_promotion});
    }
    // Nobody would find it, and this node would lead no more. One that takes over when there is no
    // controller says its address itself.
    const auto heir = state.members().find(promote->node);
    if (heir == state.members().end() || heir->second.address.empty()) {
      return refuse({.errc = refusal_errc::conflict,
                     .reason = "there is no member \"" + promote->node +
                               "\" that others could link to: start it with --controller --listen "
                               "HOST:PORT"});
    }
  }
  if (auto lacking = lacks(*decoded)) {
    if (lacking->errc != refusal_errc::missing) return refuse(*lacking);
    // Who pushes sends it and orders again.
    progress no = refused_order(id, *lacking);
    no.error = "missing_content";
    return tell(no);
  }
  if (queue.size() >= max_waiting_orders) {
    return refuse({.errc = refusal_errc::conflict, .reason = "too many orders are waiting"});
  }
  if (std::holds_alternative<release_order>(decoded->body)) {
    if (auto synced = blobs.flush(); !synced) return refuse(synced.error());
  }
  early[id] = {state_of(*decoded), {std::move(tell)}};
  waiting entry;
  entry.make = [what] { return what; };
  entry.is_genuine = true;
  entry.fail = [this, id, taken = *decoded](const refusal& why) {
    const progress outcome = refused_order(id, why);
    if (stays_refused(taken, why)) answered.keep(outcome);
    const auto tellers = std::move(early.extract(id).mapped().tellers);
    for (const teller& one : tellers) one(outcome);
  };
  entry.done = [this, id](const order& taken, const change& in) {
    auto tellers = std::move(early.extract(id).mapped().tellers);
    if (is_lost) {
      // The promotion of another node, by which we lead no more: the last that is in our log.
      progress outcome;
      outcome.id = id;
      outcome.done = true;
      outcome.state = "applied";
      for (const teller& one : tellers) one(outcome);
      return;
    }
    selector to;
    push_policy policy;
    bool is_two_step = false;
    if (const auto* release = std::get_if<release_order>(&taken.body)) {
      to = release->to;
      policy = release->policy;
      is_two_step = true;
    } else if (const auto* back = std::get_if<rollback_order>(&taken.body)) {
      to = back->to;
      policy = back->policy;
      is_two_step = true;
    } else if (const auto* value = std::get_if<config_order>(&taken.body)) {
      to = value->scope;
    }
    underway begun{push_progress(taken, in, is_two_step, to, policy, members, pace, clock),
                   std::move(tellers), clock, true};
    pushes.try_emplace(id, std::move(begun));
    advance(id);
  };
  if (const auto* release = std::get_if<release_order>(&decoded->body)) {
    return enqueue_with_copies(*release, std::move(entry));
  }
  enqueue(std::move(entry));
}

void controller::impl::enqueue_with_copies(const release_order& what, waiting entry) {
  const auto others = how.has_heirs ? heirs() : std::map<std::string, peer_id>();
  if (others.empty()) return enqueue(std::move(entry));
  std::vector<digest> names{what.manifest};
  if (const auto bytes = blobs.get(what.manifest)) {
    if (const auto files = manifest::decode(*bytes)) {
      for (const manifest_file& file : files->files) names.push_back(file.content);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  copies.make(
      names, others,
      [this, entry = std::move(entry)](const tl::expected<void, refusal>& made) {
        if (!made) return entry.fail(made.error());
        enqueue(entry);
      },
      clock);
}

void controller::impl::enqueue(waiting what) {
  queue.push_back(std::move(what));
  pump();
}

void controller::impl::pump() {
  while (!is_appending && !queue.empty()) {
    waiting next = std::move(queue.front());
    queue.pop_front();
    if (is_lost) {
      next.fail({.errc = refusal_errc::not_leader, .reason = "another controller leads"});
      continue;
    }
    const signed_order ordered = next.make();
    auto judged = state.judge(ordered, how.wall_clock(),
                              next.is_genuine ? signature_check::done : signature_check::needed);
    if (!judged) {
      next.fail(judged.error());
      continue;
    }
    const position before = state.at();
    change in;
    in.epoch = before.epoch;
    if (const auto* promotion = std::get_if<promote_order>(&judged->body)) {
      in.epoch = promotion->epoch;
    }
    in.seq = before.seq + 1;
    in.parent = before.state;
    in.time = how.wall_clock();
    in.ordered = ordered;
    if (std::holds_alternative<release_order>(judged->body)) {
      const auto app = state.apps().find(judged->app);
      in.release = app != state.apps().end() ? app->second.last_number + 1 : 1;
    }
    std::string snapshot;
    if (std::holds_alternative<checkpoint_order>(judged->body)) snapshot = state.encode();
    is_appending = true;
    log.append(in, [this, next, what = *judged, in, snapshot,
                    before](const tl::expected<void, refusal>& result) {
      is_appending = false;
      if (!result) {
        if (result.error().errc == refusal_errc::not_leader) lose(result.error().reason);
        next.fail(result.error());
      } else {
        appended(what, in, snapshot, before);
        if (next.done) next.done(what, in);
      }
      pump();
    });
  }
}

/// It is in the log, and only from now on anybody may hear of it.
void controller::impl::appended(const order& what, const change& in, std::string snapshot,
                                const position& before) {
  // A list of all nodes: not with each value.
  const bool may_cut = std::holds_alternative<trust_order>(what.body) ||
                       std::holds_alternative<member_order>(what.body);
  const auto keys = may_cut ? members_by_key(state) : std::map<std::string, std::string>();
  if (auto applied = state.apply(in, signature_check::done); !applied) {
    // judge() took it: the state and the log are not one any more.
    say(log_level::error,
        "cluster: the controller's own change was refused: " + applied.error().reason);
    lose("its state is damaged");
    return;
  }
  lower.announce(topic_changes, announcement{in, inline_blobs(what, in, state, blobs, served)});
  if (may_cut) cut_those_gone(keys);
  if (std::holds_alternative<checkpoint_order>(what.body)) {
    checkpointed = in.seq;
    is_checkpointing = false;
    if (auto kept = log.keep_snapshot(before, snapshot); !kept) {
      say(log_level::error, "cluster: the log was not cut: " + kept.error().reason);
    }
  }
  if (state.controller() != how.name && is_started) lose("another node was promoted");
  maybe_checkpoint();
}

void controller::impl::maybe_checkpoint() {
  if (is_checkpointing || is_lost || how.checkpoint_every == 0 ||
      state.at().seq < checkpointed + how.checkpoint_every) {
    return;
  }
  is_checkpointing = true;
  waiting entry;
  entry.make = [this] { return own_order({}, checkpoint_order{digest::of(state.encode())}); };
  entry.fail = [this](const refusal& why) {
    is_checkpointing = false;
    checkpointed = state.at().seq;  // again after as many changes
    say(log_level::error, "cluster: no checkpoint was made: " + why.reason);
  };
  queue.push_back(std::move(entry));
  // From appended(): pump() goes on with it.
}

void controller::impl::lose(std::string_view why) {
  if (is_lost) return;
  is_lost = true;
  say(log_level::notice, "cluster: this node leads no more: " + std::string(why));
  for (auto& [id, one] : pushes) {
    progress last = one.progress.report(members, clock);
    last.done = true;
    last.error = "no_controller";
    last.reason = "this controller leads no more; ask again";
    for (const teller& tell : one.tellers) tell(last);
  }
  pushes.clear();
}

void controller::impl::cut_those_gone(const std::map<std::string, std::string>& before) {
  const auto now = members_by_key(state);
  for (const auto& [curve, name] : before) {
    if (curve.empty() || now.contains(curve)) continue;
    say(log_level::notice, "cluster: the links of " + name + " are cut: its key is revoked");
    names.erase(curve);
    if (!state.members().contains(name)) {
      members.remove(name);
      pace.forget(name);
    }
    lower.cut(curve);
  }
}

}  // namespace troupe::cluster
