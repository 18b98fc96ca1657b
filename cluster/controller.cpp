// SPDX-License-Identifier: Apache-2.0
#include "cluster/controller.hpp"

#include "cluster/ack_pace.hpp"
#include "cluster/history_server.hpp"
#include "cluster/load_state.hpp"
#include "cluster/manifest.hpp"
#include "cluster/inline_blobs.hpp"
#include "cluster/membership.hpp"
#include "cluster/outcomes.hpp"
#include "cluster/peer_names.hpp"
#include "cluster/promotion.hpp"
#include "cluster/push_progress.hpp"
#include "cluster/read_through_blobs.hpp"
#include "cluster/second_copies.hpp"
#include "cluster/status_text.hpp"
#include "cluster/uploads.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <set>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto beacon_every = 1s;
/// Progress to who ordered, at most so often unless a step is over.
constexpr auto progress_every = 50ms;
constexpr std::size_t max_waiting_orders = 10'000;
/// Nodes that are asked for a content that is not here.
constexpr std::size_t max_sources = 32;

}  // namespace

struct controller::impl {
  impl(options given, change_log& kept, blob_source& contents, lower_links& links)
      : how(std::move(given)),
        log(kept),
        blobs(contents),
        lower(links),
        state(how.root),
        history(kept),
        served({.ask = [this](const peer_id& to, const message& what) { lower.send(to, what); },
                .next_ask = [this] { return ++asks; },
                .answer = [this](const peer_id& to,
                                 const message& what) { lower.send(to, what); }},
               contents),
        sent(contents),
        copies(links, contents),
        answered(std::move(how.outcomes), how.keep_outcome) {}

  using teller = std::function<void(const progress&)>;
  /// An order on its way into the log. Those of people are made when they come, those of the
  /// controller when it is their turn, since a checkpoint is of the state before it.
  struct waiting {
    std::function<signed_order()> make;
    std::function<void(const refusal&)> fail;
    std::function<void(const order&, const change&)> done;
    bool is_genuine = false;
  };
  struct underway {
    push_progress progress;
    std::vector<teller> tellers;
    instant told;
    bool is_news = false;
  };

  options how;
  change_log& log;
  blob_source& blobs;
  lower_links& lower;
  cluster_state state;
  history_server history;
  std::uint64_t asks = 0;
  read_through_blobs served;
  uploads sent;
  second_copies copies;
  membership members;
  ack_pace pace;
  peer_names names;
  std::deque<waiting> queue;
  std::set<order_id> queued;
  bool is_appending = false;
  bool is_lost = false;
  bool is_started = false;
  std::map<order_id, underway> pushes;
  outcomes answered;
  std::map<order_id, std::vector<teller>> early;  ///< For orders that are in the queue.
  wall_time beacon_base;
  instant beacon_start;
  instant beacon_due;
  std::uint64_t checkpointed = 0;  ///< The seq of the last checkpoint, or where the log begins.
  bool is_checkpointing = false;
  std::string checkpoint_bytes;
  std::uint64_t denied = 0;
  instant clock;

  void say(log_level level, std::string_view line) const {
    if (how.log) how.log(level, line);
  }

  // ---- orders
  void take(const signed_order& what, teller tell, instant now);
  [[nodiscard]] std::optional<refusal> lacks(const order& what) const;
  void enqueue(waiting what);
  void enqueue_with_copies(const release_order& what, waiting entry);
  void pump();
  void appended(const order& what, const change& in, std::string snapshot, const position& before);
  void follow(const order& what, const change& in);
  [[nodiscard]] signed_order own_order(std::string app, order_body body) const;
  void maybe_checkpoint();
  void lose(std::string_view why);
  void cut_those_gone(const std::map<std::string, std::string>& before);

  // ---- how they go
  void advance(const order_id& id);
  void tell(underway& what, bool is_urgent);

  // ---- from below
  void on_hello(const peer_id& from, const hello& what);
  void on_beat(const peer_id& from, beat what);
  void on_acks(const peer_id& from, const acknowledgements& what);
  void on_query(const peer_id& from, const query& what);
  [[nodiscard]] std::vector<peer_id> sources() const;
  [[nodiscard]] std::map<std::string, peer_id> heirs() const;
  void deny(const peer_id& from, std::uint64_t ask, std::string reason);
  void send_beacon();
  void repeat_what_is_due();
};

// ---- orders

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
    if (!blobs.has(file.content)) {
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
  if (queued.contains(id)) {
    early[id].push_back(std::move(tell));
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
  if (std::holds_alternative<promote_order>(decoded->body) && !how.no_promotion.empty()) {
    return refuse({.errc = refusal_errc::conflict, .reason = how.no_promotion});
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
  queued.insert(id);
  early[id].push_back(std::move(tell));
  waiting entry;
  entry.make = [what] { return what; };
  entry.is_genuine = true;
  entry.fail = [this, id, taken = *decoded](const refusal& why) {
    const progress outcome = refused_order(id, why);
    if (stays_refused(taken, why)) answered.keep(outcome);
    queued.erase(id);
    const auto tellers = std::move(early[id]);
    early.erase(id);
    for (const teller& one : tellers) one(outcome);
  };
  entry.done = [this, id](const order& taken, const change& in) {
    queued.erase(id);
    auto tellers = std::move(early[id]);
    early.erase(id);
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
    underway begun{push_progress(taken, in, is_two_step, to, policy, members, pace,
                                 clock),
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

// ---- how they go

void controller::impl::advance(const order_id& id) {
  const auto found = pushes.find(id);
  if (found == pushes.end() || is_lost) return;
  underway& one = found->second;
  const auto decision = one.progress.decide(members, clock);
  switch (decision.what) {
    case push_progress::verdict::wait:
      if (one.is_news) tell(one, false);
      return;
    case push_progress::verdict::done: {
      progress outcome = one.progress.report(members, clock);
      for (const teller& each : one.tellers) each(outcome);
      answered.keep(std::move(outcome));
      pushes.erase(found);
      return;
    }
    case push_progress::verdict::activate_canary:
    case push_progress::verdict::activate_all:
    case push_progress::verdict::abort:
      break;
  }
  const std::string app = one.progress.app();
  const std::uint32_t release = one.progress.report(members, clock).release;
  const bool is_abort = decision.what == push_progress::verdict::abort;
  waiting entry;
  entry.make = [this, id, app, release, decision, is_abort] {
    if (is_abort) return own_order(app, abort_order{id, decision.reason});
    return own_order(app, activate_order{id, release, decision.to});
  };
  entry.fail = [this, id, is_abort](const refusal& why) {
    const auto failed = pushes.find(id);
    if (failed == pushes.end()) return;
    // The disk is full, say. What is not in the log has not happened; a controller that starts anew
    // aborts it.
    say(log_level::error, std::string("cluster: a push could not be ") +
                              (is_abort ? "aborted: " : "activated: ") + why.reason);
    failed->second.progress.aborted(why.reason);
    advance(id);
  };
  entry.done = [this, id, decision, is_abort](const order&, const change& in) {
    const auto decided = pushes.find(id);
    if (decided == pushes.end()) return;
    if (is_abort) {
      decided->second.progress.aborted(decision.reason);
    } else {
      decided->second.progress.activated(in, decision.to, members, clock);
    }
    tell(decided->second, true);
    advance(id);
  };
  enqueue(std::move(entry));
}

void controller::impl::tell(underway& what, bool is_urgent) {
  if (what.tellers.empty()) return;
  if (!is_urgent && clock < what.told + progress_every) return;
  what.told = clock;
  what.is_news = false;
  const progress how_it_goes = what.progress.report(members, clock);
  for (const teller& one : what.tellers) one(how_it_goes);
}

// ---- from below

void controller::impl::deny(const peer_id& from, std::uint64_t ask, std::string reason) {
  ++denied;
  if (denied < 10 || denied % 1'000 == 0) {
    say(log_level::warn, "cluster: denied (" + std::to_string(denied) + " in all): " + reason);
  }
  if (ask != 0) lower.send(from, refused{ask, "denied", std::move(reason)});
}

void controller::impl::on_hello(const peer_id& from, const hello& what) {
  if (!peer_names::is_node(state, from, what.who.name)) {
    return deny(from, what.ask, "this key is not that of a node " + what.who.name);
  }
  names.put(from, what.who.name);
  members.hear(what.who, from, clock, how.wall_clock());
  lower.send(from, hello_answer{what.ask, state.at(), how.name});
}

void controller::impl::on_beat(const peer_id& from, beat what) {
  const wall_time wall = how.wall_clock();
  for (node_report& one : what.nodes) {
    if (!names.may_speak_for(state, from, one.name)) {
      deny(from, 0, "a beat for another node, " + one.name);
      continue;
    }
    for (auto& [id, push] : pushes) push.progress.heard(one, clock);
    members.hear(std::move(one), from, clock, wall);
  }
}

void controller::impl::on_acks(const peer_id& from, const acknowledgements& what) {
  std::set<order_id> touched;
  for (const acknowledgement& ack : what.list) {
    const auto push = pushes.find(ack.push);
    const bool was_behind = pace.is_behind(ack.node);
    if (push == pushes.end() && !was_behind) continue;
    if (!names.may_speak_for(state, from, ack.node)) {
      deny(from, 0, "an acknowledgement for another node, " + ack.node);
      continue;
    }
    members.hear(ack.node, clock);
    if (was_behind) pace.came_after_all(ack.node, clock);
    if (push == pushes.end()) {
      answered.came_after_all(ack);
      continue;
    }
    if (!push->second.progress.acknowledge(ack, clock)) continue;
    push->second.is_news = true;
    touched.insert(ack.push);
  }
  for (const order_id& id : touched) advance(id);
}

void controller::impl::on_query(const peer_id& from, const query& what) {
  query_answer answer;
  answer.ask = what.ask;
  answer.head = state.at();
  answer.controller = how.name;
  if (what.what == "nodes") {
    answer.nodes = members.reports();
  } else if (what.what == "status") {
    const auto aside = log.aside();
    if (!aside) {
      lower.send(from, refused{what.ask, "failed", aside.error().reason});
      return;
    }
    answer.text = status_text(state, *aside, denied);
  } else if (what.what.starts_with(outcome_query)) {
    const auto id = parse_order_id(std::string_view(what.what).substr(outcome_query.size()));
    const auto under_way = id ? pushes.find(*id) : pushes.end();
    std::optional<progress> found;
    if (under_way != pushes.end()) {
      found = under_way->second.progress.report(members, clock);
    } else if (id) {
      found = answered.find(*id, state);
    }
    // None: it is not known here.
    if (found) answer.text = encode(message(*found));
  } else {
    lower.send(from, refused{what.ask, "unsupported", "there is no list \"" + what.what + '"'});
    return;
  }
  lower.send(from, answer);
}

/// Who may have a content that a controller which took over has not: it knows the history, and ran
/// only some of it.
std::vector<peer_id> controller::impl::sources() const {
  std::set<peer_id> result;
  for (const auto& [name, one] : members.all()) {
    if (result.size() == max_sources) break;
    if (name != how.name && members.is_live(name, clock)) result.insert(one.via);
  }
  return {result.begin(), result.end()};
}

/// The live ones of those that may lead when this one is gone, by their own links.
std::map<std::string, peer_id> controller::impl::heirs() const {
  std::map<std::string, peer_id> result;
  for (const auto& [name, member] : state.members()) {
    if (name == how.name || !member.may_lead || member.address.empty()) continue;
    const membership::node* node = members.find(name);
    if (node == nullptr || !members.is_live(name, clock)) continue;
    if (peer_names::is_node(state, node->via, name)) result[name] = node->via;
  }
  return result;
}

void controller::impl::send_beacon() {
  beacon sign;
  sign.at = state.at();
  // By the steady clock: a wall clock that jumps makes no beacon look old.
  sign.time =
      beacon_base + std::chrono::duration_cast<std::chrono::milliseconds>(clock - beacon_start);
  sign.controller = how.name;
  if (how.key) sign.signature = how.key->sign(beacon::context, sign.signed_bytes());
  lower.announce(topic_beacons, sign);
  beacon_due = clock + beacon_every;
}

void controller::impl::repeat_what_is_due() {
  for (auto& [id, one] : pushes) {
    const auto late = one.progress.to_repeat(clock);
    if (late.empty()) continue;
    // Several nodes below one relay are one message.
    std::set<peer_id> links;
    for (const std::string& name : late) {
      const membership::node* node = members.find(name);
      if (node != nullptr && members.is_live(name, clock)) links.insert(node->via);
    }
    if (links.empty()) continue;
    lower.send_all({links.begin(), links.end()}, repeat{one.progress.present()});
  }
}

// ---- the outside

controller::controller(options how, change_log& log, blob_source& blobs, lower_links& lower)
    : impl_(std::make_unique<impl>(std::move(how), log, blobs, lower)) {}
controller::~controller() = default;

tl::expected<void, refusal> controller::start(instant now, std::vector<signed_order> first) {
  impl& self = *impl_;
  self.clock = now;
  self.beacon_start = now;
  self.beacon_base = self.how.wall_clock();
  auto loaded = load_state(self.log, self.how.root);
  if (!loaded) return tl::unexpected(std::move(loaded.error()));
  self.state = *std::move(loaded);
  self.checkpointed = self.log.begins_after();
  std::uint64_t seen = self.checkpointed;
  while (true) {
    const auto list = self.log.read(seen, 1 << 20);
    if (!list || list->empty()) break;
    for (const change& one : *list) {
      seen = one.seq;
      if (has_checkpoint(one)) self.checkpointed = one.seq;
    }
  }
  std::optional<refusal> failed;
  for (signed_order& one : first) {
    impl::waiting entry;
    entry.make = [one] { return one; };
    entry.fail = [&failed](const refusal& why) { failed = why; };
    self.enqueue(std::move(entry));
    if (failed) return tl::unexpected(*std::move(failed));
  }
  if (self.state.controller() != self.how.name) {
    return tl::unexpected(refusal{
        .errc = refusal_errc::not_leader,
        .reason = "the history says that " + std::string(self.state.controller()) + " leads"});
  }
  self.is_started = true;
  for (const auto& [name, app] : self.state.apps()) {
    if (!app.under_way) continue;
    impl::waiting entry;
    entry.make = [&self, app = name, id = app.under_way->id] {
      return self.own_order(app, abort_order{id, "the controller was started anew"});
    };
    entry.fail = [&self](const refusal& why) {
      self.say(log_level::error, "cluster: an undecided push was not aborted: " + why.reason);
    };
    self.queue.push_back(std::move(entry));
  }
  self.pump();
  self.maybe_checkpoint();
  self.pump();
  self.send_beacon();
  return {};
}

void controller::on_message(const peer_id& from, message what, instant now) {
  impl& self = *impl_;
  self.clock = now;
  if (const auto* acks = std::get_if<acknowledgements>(&what)) {
    self.on_acks(from, *acks);
  } else if (auto* report = std::get_if<beat>(&what)) {
    self.on_beat(from, std::move(*report));
  } else if (const auto* greeting = std::get_if<hello>(&what)) {
    self.on_hello(from, *greeting);
  } else if (const auto* asked = std::get_if<fetch_changes>(&what)) {
    self.lower.send(from, self.history.answer(*asked));
  } else if (const auto* whole = std::get_if<fetch_snapshot>(&what)) {
    self.lower.send(from, self.history.answer(*whole));
  } else if (const auto* content = std::get_if<fetch_blob>(&what)) {
    self.served.on_fetch(from, {*content}, self.sources(), now);
  } else if (const auto* some = std::get_if<fetch_blobs>(&what)) {
    self.served.on_fetch(from, some->list, self.sources(), now);
  } else if (const auto* several = std::get_if<blob_pieces>(&what)) {
    for (const blob_piece& one : several->list) self.served.on_piece(one, now);
  } else if (const auto* found = std::get_if<blob_piece>(&what)) {
    self.served.on_piece(*found, now);
  } else if (const auto* list = std::get_if<missing_blobs>(&what)) {
    missing_answer answer{list->ask, {}};
    for (const digest& name : list->names) {
      if (!self.blobs.has(name)) answer.names.push_back(name);
    }
    self.lower.send(from, answer);
  } else if (std::holds_alternative<missing_answer>(what) ||
             std::holds_alternative<put_answer>(what) || std::holds_alternative<refused>(what)) {
    static_cast<void>(self.copies.on_message(from, what, now));
  } else if (const auto* piece = std::get_if<put_blob>(&what)) {
    self.lower.send(from, self.sent.take(from, *piece));
  } else if (const auto* order = std::get_if<struct submit>(&what)) {
    self.take(
        order->what,
        [&self, from, ask = order->ask](const progress& how_it_goes) {
          progress answer = how_it_goes;
          answer.ask = ask;
          self.lower.send(from, answer);
        },
        now);
  } else if (const auto* question = std::get_if<query>(&what)) {
    self.on_query(from, *question);
  } else if (const auto* own = std::get_if<publish>(&what)) {
    self.lower.announce(std::string(topic_app_prefix) + own->what.topic, own->what);
  } else if (const auto* proof = std::get_if<changes>(&what)) {
    if (proof->ask == 0 && is_superseded_by(self.state, *proof)) {
      self.lose("a node showed the promotion of another");
    }
  }
}

void controller::on_subscribed(const peer_id&, std::string_view topic, instant now) {
  impl& self = *impl_;
  self.clock = now;
  if (topic.starts_with(topic_node_prefix)) self.lower.announce(topic, welcome{self.state.at()});
}

void controller::on_gone(const peer_id& who, instant now) {
  impl_->clock = now;
  impl_->sent.forget(who);
  impl_->served.forget(who);
  impl_->names.erase(who);
}

void controller::tick(instant now) {
  impl& self = *impl_;
  self.clock = now;
  self.log.poll();
  if (self.is_lost) return;
  self.served.tick(now);
  self.copies.tick(now);
  if (self.beacon_due <= now) {
    self.send_beacon();
    // Who is not live any more is not waited for.
    std::vector<order_id> all;
    for (const auto& [id, one] : self.pushes) all.push_back(id);
    for (const order_id& id : all) self.advance(id);
  }
  std::vector<order_id> due;
  for (const auto& [id, one] : self.pushes) {
    if (one.progress.next_tick() <= now || one.is_news) due.push_back(id);
  }
  self.repeat_what_is_due();
  for (const order_id& id : due) self.advance(id);
}

instant controller::next_tick() const {
  instant result =
      std::min({impl_->beacon_due, impl_->served.next_tick(), impl_->copies.next_tick()});
  for (const auto& [id, one] : impl_->pushes) {
    result = std::min(result, one.progress.next_tick());
    if (one.is_news && !one.tellers.empty()) result = std::min(result, one.told + progress_every);
  }
  return result;
}

void controller::submit(const signed_order& what, std::function<void(const progress&)> on_progress,
                        instant now) {
  impl_->take(what, std::move(on_progress), now);
}

const cluster_state& controller::state() const noexcept {
  return impl_->state;
}

std::vector<node_report> controller::nodes(instant) const {
  return impl_->members.reports();
}

bool controller::has_lost() const noexcept {
  return impl_->is_lost;
}

message controller::proof() const {
  return proof_of(impl_->state).value_or(message(changes()));
}

}  // namespace troupe::cluster
