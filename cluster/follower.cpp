// SPDX-License-Identifier: Apache-2.0
#include "cluster/follower_impl.hpp"

#include <algorithm>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto most_patience = 8s;
constexpr auto hello_again = 1s;
constexpr auto welcome_wait = 300ms;  ///< Then it asks without.
constexpr std::size_t max_buffered = 1'000;
constexpr std::size_t max_acknowledgements = 500;  ///< In a message.

}  // namespace

tl::expected<void, refusal> follower::impl::load() {
  auto loaded = load_state(log, how.root);
  if (!loaded) return tl::unexpected(std::move(loaded.error()));
  state = *std::move(loaded);
  return {};
}

tl::expected<void, refusal> follower::impl::keep(const std::vector<change>& list) {
  // A controller's follower may share its log, which has them.
  std::vector<change> fresh;
  for (const change& one : list) {
    if (one.seq > log.head().seq) fresh.push_back(one);
  }
  if (fresh.empty()) return {};
  return log.append_all(fresh);
}

void follower::impl::note(const change& in) {
  const auto what = order::decode(in.ordered.bytes);
  if (!what) return;  // apply() has decoded it
  tasks.note(*what, in);
  if (is_one_step(*what)) acks.push_back({how.name, what->id, ack_step::applied, in.seq, {}, 0});
}

bool follower::impl::take(std::vector<change> list, bool is_last, instant now) {
  std::erase_if(list, [this](const change& one) { return one.seq <= state.at().seq; });
  if (list.empty()) return true;
  const bool is_many = list.size() > 1;
  const std::size_t genuine = is_many ? count_genuine(list, state.has_keys()) : 0;
  std::vector<change> taken;
  std::vector<std::pair<position, std::string>> snapshots;
  std::string problem;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const change& one = list[i];
    // Encoded before: a checkpoint is of the state without itself.
    const bool is_checkpoint = has_checkpoint(one);
    const position before = state.at();
    std::string bytes = is_checkpoint ? state.encode() : std::string();
    const auto done =
        state.apply(one, i < genuine ? signature_check::done : signature_check::needed);
    if (!done) {
      problem = "change " + std::to_string(one.seq) + " was not taken: " + done.error().reason;
      break;
    }
    if (is_checkpoint) snapshots.emplace_back(before, std::move(bytes));
    taken.push_back(one);
  }
  const bool shares_log = log.head().seq >= state.at().seq;
  if (auto kept = keep(taken); !kept) {
    // Nothing was said or done yet: where the log stands is where we do.
    set_trouble(kept.error().reason);
    acks.clear();
    for (const change& one : taken) {
      const auto what = order::decode(one.ordered.bytes);
      if (!what) continue;
      const auto* activate = std::get_if<activate_order>(&what->body);
      acks.push_back({how.name, activate != nullptr ? activate->push : what->id, ack_step::refused,
                      one.seq, kept.error().reason, 0});
    }
    flush();
    if (auto loaded = load(); !loaded) set_trouble(loaded.error().reason);
    log_retry = now + log_again;
    return false;
  }
  if (!shares_log) {
    for (const auto& [at, bytes] : snapshots) {
      if (auto kept = log.keep_snapshot(at, bytes); !kept) {
        say(log_level::warn, "cluster: no snapshot was kept: " + kept.error().reason);
      }
    }
  }
  for (const change& one : taken) note(one);
  set_trouble(problem);
  if (!taken.empty() && how.on_state) how.on_state();
  if (is_last) act(now);
  return problem.empty();
}

void follower::impl::apply_values() {
  auto fresh = state.config_of(how.name, how.labels);
  if (has_values && fresh == values) return;
  values = std::move(fresh);
  has_values = true;
  runtime.config(values, state.at().seq);
}

void follower::impl::act(instant now) {
  apply_values();
  tasks.reconcile(state, now);
  flush();
}

/// Sends what is to be said of what was done and asked for.
void follower::impl::flush() {
  if (is_up) fetcher.flush();
  if (acks.empty()) return;
  if (is_up) {
    for (std::size_t from = 0; from < acks.size(); from += max_acknowledgements) {
      const std::size_t to = std::min(acks.size(), from + max_acknowledgements);
      acknowledgements sent;
      sent.list.assign(acks.begin() + static_cast<std::ptrdiff_t>(from),
                       acks.begin() + static_cast<std::ptrdiff_t>(to));
      upper.send(sent);
    }
  }
  // What is lost is asked for again.
  acks.clear();
}

node_report follower::impl::report() const {
  node_report result = runtime.report();
  result.name = how.name;
  result.role = how.role;
  result.version = how.version;
  result.address = how.address;
  result.labels = how.labels;
  result.at = state.at();
  result.active = tasks.serving();
  result.problem = !trouble.empty() ? trouble : tasks.trouble();
  return result;
}

/// What it has it will have after a crash too: who asks counts on that.
message follower::impl::lacking(const missing_blobs& asked) {
  if (auto synced = blobs.flush(); !synced) {
    return refused{asked.ask, "failed", synced.error().reason};
  }
  missing_answer answer{asked.ask, {}};
  for (const digest& name : asked.names) {
    if (!blobs.keeps(name)) answer.names.push_back(name);
  }
  return answer;
}

bool follower::impl::is_genuine(const beacon& what) const {
  if (what.controller != state.controller()) return false;
  if (!state.has_keys()) return true;
  const auto member = state.members().find(what.controller);
  if (member == state.members().end()) return false;
  // Over a link to the controller itself the link has proven it; the signature is for those below a
  // relay. A check less in each second, for a thousand nodes at the same time.
  const std::string_view sender = upper.server_key();
  if (!sender.empty() && sender == member->second.curve) return true;
  return member->second.signing.verify(beacon::context, what.signed_bytes(), what.signature);
}

void follower::impl::show_promotion() {
  if (auto proof = proof_of(state)) upper.send(*proof);
}

void follower::impl::on_beacon(const beacon& what, instant now) {
  const position& at = state.at();
  if (what.at.epoch < at.epoch) {
    // It does not know yet that another leads.
    show_promotion();
    return;
  }
  is_foreign = what.controller != state.controller();
  // Two promotions at once: it may be the one that has to give way.
  if (is_foreign && what.at.epoch == at.epoch) show_promotion();
  if (is_genuine(what)) {
    // An older one is held back or played again. After a silence it may be that the controller was
    // started anew, with another clock.
    if (heard_time && what.time <= *heard_time && heard && now - *heard <= silence) return;
    heard_time = what.time;
    heard = now;
    is_proven = true;
    heard_at = what.at;
    // All nodes hear it at the same time: their answers need not all come together.
    beat_due = now + beat_delay;
    if (what.at == at) {
      lacks = false;
      if (trouble.empty()) set_trouble({});
      // A beacon that comes before the welcome has shown all that there was to ask for.
      if (!asking.is_asking()) say_hello(now);
      return;
    }
    if (what.at.is_before(at)) return;  // it was on its way while a change overtook it
  } else if (what.at == at) {
    return;
  }
  lacks = true;
  look_after(now);
}

void follower::impl::on_announcement(announcement what, instant now) {
  for (const sent_blob& blob : what.blobs) fetcher.offer(blob);
  const position& at = state.at();
  const change& next = what.what;
  if (next.epoch < at.epoch) {
    show_promotion();
    return;
  }
  if (next.seq <= at.seq && next.epoch == at.epoch) return;
  if (next.seq == at.seq + 1 && next.parent == at.state && !other) {
    take({next}, false, now);
    if (!replay(now)) act(now);
    return;
  }
  lacks = true;
  what.blobs.clear();
  buffered.insert_or_assign(next.seq, std::move(what));
  // Those furthest above are announced to be asked for anyway.
  if (buffered.size() > max_buffered) buffered.erase(std::prev(buffered.end()));
  look_after(now);
}

bool follower::impl::replay(instant now) {
  std::vector<change> list;
  position at = state.at();
  for (auto one = buffered.begin(); one != buffered.end(); one = buffered.erase(one)) {
    const change& next = one->second.what;
    if (next.seq <= at.seq) continue;
    if (next.seq != at.seq + 1 || next.parent != at.state) break;
    at = next.after();
    list.push_back(next);
  }
  // Of another history than the one that was taken: a beacon will tell.
  if (list.empty()) return false;
  take(std::move(list), true, now);
  return true;
}

/// Asks for what it lacks, if it can and has not.
void follower::impl::look_after(instant now) {
  if (!is_up || !lacks || asking.is_asking() || log_retry != instant::max()) return;
  if (!is_proven && now < linked + welcome_wait) return;
  asking.ask_changes(other ? other->state.at() : state.at(), now);
}

void follower::impl::on_changes(changes what, instant now) {
  if (!asking.answers(what)) return;
  if (other) return on_candidate(std::move(what), now);
  const position& at = state.at();
  const bool is_other =
      is_foreign && what.list.empty() && what.head != at && what.head.epoch >= at.epoch;
  if (what.need_snapshot || is_other) {
    asking.ask_snapshot(now);
    return;
  }
  if (!what.list.empty()) {
    const change& last = what.list.back();
    const bool is_last = last.seq >= what.head.seq;
    if (!take(std::move(what.list), is_last, now)) {
      // A checkpoint that does not fit: what we have is not what the others have.
      if (log_retry == instant::max()) {
        act(now);
        asking.ask_snapshot(now);
      }
      return;
    }
    if (!is_last) {
      asking.ask_changes(at, now);
      return;
    }
  } else {
    act(now);
  }
  lacks = at != what.head && at.is_before(what.head);
  if (what.head.is_before(at) && what.head.epoch < at.epoch) show_promotion();
  replay(now);
  if (heard && at.is_before(heard_at)) lacks = true;
  if (!lacks) say_hello(now);
}
void follower::impl::on_repeat(const change& what, instant now) {
  if (what.seq > state.at().seq) {
    on_announcement({what, {}}, now);
    return;
  }
  const auto repeated = order::decode(what.ordered.bytes);
  // It was verified when it became part of our history, if this is the same.
  if (!repeated || state.seq_of(repeated->id) != what.seq) return;
  if (is_one_step(*repeated)) {
    acks.push_back({how.name, repeated->id, ack_step::applied, what.seq, {}, 0});
  } else {
    tasks.acknowledge_again(state, *repeated, what);
  }
  flush();
}

void follower::impl::say_hello(instant now) {
  const bool waits = hello_due != instant::max() && now < hello_due;
  if (is_greeted || !is_up || waits) return;
  hello_ask = ++asks;
  hello_due = now + hello_again;
  upper.send(hello{hello_ask, report()});
}

follower::follower(options how, change_log& own, blob_source& blobs, host& runtime,
                   upper_link& upper)
    : impl_(std::make_unique<impl>(std::move(how), own, blobs, runtime, upper)) {}
follower::~follower() = default;

tl::expected<void, refusal> follower::start(instant now) {
  if (auto loaded = impl_->load(); !loaded) return loaded;
  if (impl_->how.on_state) impl_->how.on_state();
  impl_->act(now);
  return {};
}

void follower::on_link(bool up, instant now, std::chrono::milliseconds took) {
  impl& self = *impl_;
  self.patience = std::min<std::chrono::milliseconds>(2 * took, most_patience);
  self.is_up = up;
  self.is_proven = false;
  self.is_greeted = false;
  self.hello_due = instant::max();
  self.beat_due = instant::max();
  self.asking.reset();
  self.other.reset();
  self.linked = now;
  if (!up) return self.sent.forget({});
  self.lacks = true;
  self.fetcher.restart(now);
  self.flush();
}

void follower::on_announced(std::string_view topic, message what, instant now) {
  impl& self = *impl_;
  // Each by its own topic: what comes by another was not said by who is above.
  if (auto* change = std::get_if<announcement>(&what)) {
    if (topic == topic_changes) self.on_announcement(std::move(*change), now);
  } else if (const auto* sign = std::get_if<beacon>(&what)) {
    if (topic == topic_beacons) self.on_beacon(*sign, now);
  } else if (std::holds_alternative<welcome>(what)) {
    if (!topic.starts_with(topic_node_prefix)) return;
    self.is_proven = true;
    self.look_after(now);
  } else if (const auto* own = std::get_if<topic_message>(&what)) {
    if (topic.starts_with(topic_app_prefix)) self.runtime.topic(*own);
  }
  self.flush();
}

void follower::on_message(message what, instant now) {
  impl& self = *impl_;
  if (auto* list = std::get_if<changes>(&what)) {
    self.on_changes(std::move(*list), now);
  } else if (const auto* piece = std::get_if<snapshot_piece>(&what)) {
    self.on_snapshot(*piece, now);
  } else if (const auto* content = std::get_if<blob_piece>(&what)) {
    self.fetcher.on_piece(*content, now);
    self.look_after(now);
  } else if (const auto* several = std::get_if<blob_pieces>(&what)) {
    for (const blob_piece& one : several->list) self.fetcher.on_piece(one, now);
    self.look_after(now);
  } else if (const auto* again = std::get_if<repeat>(&what)) {
    self.on_repeat(again->what, now);
  } else if (const auto* answer = std::get_if<hello_answer>(&what)) {
    if (answer->ask != self.hello_ask) return;
    self.is_greeted = true;
    self.hello_due = instant::max();
    if (self.state.at().is_before(answer->at)) {
      self.lacks = true;
      self.look_after(now);
    }
  } else if (const auto* no = std::get_if<refused>(&what)) {
    if (no->ask < relay_asks) self.set_trouble("the node above refused: " + no->reason);
  } else if (const auto* asked = std::get_if<fetch_changes>(&what)) {
    self.upper.send(self.history.answer(*asked));
  } else if (const auto* snapshot = std::get_if<fetch_snapshot>(&what)) {
    self.upper.send(self.history.answer(*snapshot));
  } else if (const auto* blob = std::get_if<fetch_blob>(&what)) {
    self.upper.send(self.contents.answer(*blob));
  } else if (const auto* some = std::get_if<fetch_blobs>(&what)) {
    for (const message& one : self.contents.answer(some->list)) self.upper.send(one);
  } else if (const auto* names = std::get_if<missing_blobs>(&what)) {
    if (!self.how.address.empty()) self.upper.send(self.lacking(*names));
  } else if (const auto* put = std::get_if<put_blob>(&what)) {
    if (!self.how.address.empty()) self.upper.send(self.sent.take({}, *put));
  }
  self.flush();
}

void follower::tick(instant now) {
  impl& self = *impl_;
  if (self.log_retry <= now) {
    self.log_retry = instant::max();
    self.lacks = true;
  }
  if (self.tasks.tick(now)) self.tasks.reconcile(self.state, now);
  if (self.is_up) self.fetcher.tick(now);
  self.flush();
  if (!self.is_up) return;
  self.asking.tick(now);
  self.look_after(now);
  if (self.hello_due <= now) self.say_hello(now);
  if (self.beat_due <= now) {
    self.beat_due = instant::max();
    self.upper.send(beat{{self.report()}});
  }
  if (now > self.dead_at()) {
    self.say(log_level::info, "cluster: no genuine beacon in time; connecting anew");
    self.linked = now;  // not again at once if the link stays
    self.upper.connect_anew();
  }
}

instant follower::next_tick() const {
  const impl& self = *impl_;
  instant result = std::min(self.tasks.next_tick(), self.log_retry);
  if (!self.is_up) return result;
  result = std::min(
      {result, self.asking.next_tick(), self.fetcher.next_tick(), self.hello_due, self.beat_due});
  const bool will_ask = self.lacks && !self.asking.is_asking() && self.log_retry == instant::max();
  if (will_ask && !self.is_proven) result = std::min(result, self.linked + welcome_wait);
  return std::min(result, self.dead_at() + 1ms);
}

const cluster_state& follower::state() const noexcept {
  return impl_->state;
}

bool follower::is_current(instant now) const noexcept {
  return impl_->is_up && !impl_->lacks && impl_->heard && now - *impl_->heard <= impl::silence &&
         impl_->trouble.empty();
}

bool follower::hears(instant now) const noexcept {
  return impl_->is_up && impl_->heard && *impl_->heard >= impl_->linked &&
         now - *impl_->heard <= impl::silence;
}

std::optional<instant> follower::last_beacon() const noexcept {
  return impl_->heard;
}

node_report follower::report() const {
  return impl_->report();
}

std::unordered_set<digest> follower::needed() const {
  std::unordered_set<digest> result;
  for (const auto& [name, app] : impl_->state.apps()) {
    for (const auto& [number, release] : app.releases) {
      result.insert(release.manifest);
      const auto bytes = impl_->blobs.get(release.manifest);
      const auto files = bytes ? manifest::decode(*bytes)
                               : tl::expected<manifest, refusal>(tl::unexpected(refusal{}));
      if (!files) continue;
      for (const manifest_file& file : files->files) result.insert(file.content);
    }
  }
  impl_->tasks.add_needed(result);
  for (const digest& name : impl_->fetcher.wanted()) result.insert(name);
  return result;
}

}  // namespace troupe::cluster
