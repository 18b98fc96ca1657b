// SPDX-License-Identifier: Apache-2.0
#include "cluster/relay.hpp"

#include "cluster/history_server.hpp"
#include "cluster/membership.hpp"
#include "cluster/peer_names.hpp"
#include "cluster/read_through_blobs.hpp"

#include <algorithm>
#include <deque>
#include <set>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto batch_for = 10ms;
/// Beats of hundreds of nodes, which answer one beacon, go up together.
constexpr auto beats_for = 100ms;
constexpr auto repeat_every = 100ms;
constexpr std::size_t kept_changes = 32;
constexpr std::size_t max_forwarded = 256;
constexpr auto beacons_for = 10s;
/// Before the relay fetches a content for others that its own follower may be fetching already.
constexpr auto own_first = 200ms;
constexpr auto asked_for = 120s;
constexpr std::size_t max_asked = 100'000;
constexpr std::size_t max_in_message = 500;
/// Nodes that are asked for a content that the one above looks for.
constexpr std::size_t max_sources = 32;

}  // namespace

struct relay::impl {
  impl(options given, const follower& node, change_log& log, blob_source& blobs, lower_links& below,
       upper_link& above)
      : how(std::move(given)),
        own(node),
        lower(below),
        upper(above),
        history(log),
        contents({.sources = [] { return std::vector<peer_id>{{}}; },
                  .ask = [this](const peer_id&, const message& what) { upper.send(what); },
                  .next_ask = [this] { return next_ask(); },
                  .answer = [this](const peer_id& to,
                                   const message& what) { lower.send(to, what); },
                  .own_first = own_first},
                 blobs),
        contents_of_nodes(
            {.sources = [this] { return members.sources(how.name, max_sources, clock); },
             .ask = [this](const peer_id& to, const message& what) { lower.send(to, what); },
             .next_ask = [this] { return next_ask(); },
             .answer = [this](const peer_id&, const message& what) { upper.send(what); }},
            blobs) {}

  struct handed {  ///< A request from below that the one above will answer.
    peer_id from;
    std::uint64_t ask = 0;
    instant until;
    bool goes_on = false;  ///< More than one answer comes.
  };

  options how;
  const follower& own;
  lower_links& lower;
  upper_link& upper;
  history_server history;
  read_through_blobs contents;           ///< For those below, from above.
  read_through_blobs contents_of_nodes;  ///< For the one above, from below.
  std::uint64_t asks = 0;  ///< The last; 0: none yet.
  membership members;
  peer_names names;
  std::map<std::uint64_t, handed> handed_up;
  std::set<digest> forwarded;  ///< Changes that were announced below.
  std::deque<digest> forwarded_order;
  std::map<std::pair<std::string, wall_time>, instant> beacons;  ///< The same, and when.
  std::vector<acknowledgement> acks;
  instant acks_due = instant::max();
  std::set<std::string> fresh_beats;
  instant beats_due = instant::max();
  /// What the nodes below have answered to the last changes, by seq: said again when the one above
  /// has not heard it; the others are asked again.
  std::map<std::uint64_t, std::map<std::string, acknowledgement>> answered;
  std::map<std::uint64_t, instant> repeated;  ///< When a change, by seq, was last said again.
  std::map<std::string, std::string> curves;  ///< Members' keys: who goes is cut.
  position curves_at;
  instant clock;

  void say(log_level level, std::string_view line) const {
    if (how.log) how.log(level, line);
  }

  [[nodiscard]] std::uint64_t next_ask() {
    if (asks == 0) asks = first_ask(relay_asks, clock);
    return ++asks;
  }
  template <class Message>
  void hand_up(const peer_id& from, Message what, bool goes_on);
  void on_hello(const peer_id& from, const hello& what);
  void on_beat(const peer_id& from, beat what);
  void send_acks();
  void send_beats();
  void cut_those_gone();
};

template <class Message>
void relay::impl::hand_up(const peer_id& from, Message what, bool goes_on) {
  if (!own.hears(clock)) {
    if constexpr (std::is_same_v<Message, submit>) {
      progress no;
      no.ask = what.ask;
      no.done = true;
      no.error = "no_controller";
      no.reason = "no controller is heard; ask again";
      lower.send(from, no);
    } else {
      lower.send(from, refused{what.ask, "no_controller", "no controller is heard; ask again"});
    }
    return;
  }
  if (handed_up.size() >= max_asked) {
    lower.send(from, refused{what.ask, "failed", "the relay has too many requests under way"});
    return;
  }
  const std::uint64_t ask = next_ask();
  handed_up[ask] = {from, what.ask, clock + asked_for, goes_on};
  what.ask = ask;
  upper.send(what);
}

void relay::impl::on_hello(const peer_id& from, const hello& what) {
  const cluster_state& state = own.state();
  if (!peer_names::is_node(state, from, what.who.name)) {
    // It may be newer than what this relay has heard of: the node asks again.
    lower.send(from, refused{what.ask, "denied",
                             "this key is not that of a node " + what.who.name + ", as far as " +
                                 how.name + " knows"});
    return;
  }
  names.put(from, what.who.name);
  members.hear(what.who, from, clock, {});
  lower.send(from, hello_answer{what.ask, state.at(), std::string(state.controller())});
  fresh_beats.insert(what.who.name);
  // The controller waits for it from now on.
  beats_due = std::min(beats_due, clock + batch_for);
}

void relay::impl::on_beat(const peer_id& from, beat what) {
  for (node_report& one : what.nodes) {
    if (!names.may_speak_for(own.state(), from, one.name)) continue;
    fresh_beats.insert(one.name);
    members.hear(std::move(one), from, clock, {});
  }
  if (!fresh_beats.empty()) beats_due = std::min(beats_due, clock + beats_for);
}

void relay::impl::send_beats() {
  beats_due = instant::max();
  if (!own.hears(clock)) return fresh_beats.clear();
  beat sent;
  for (const std::string& name : fresh_beats) {
    const membership::node* one = members.find(name);
    if (one == nullptr) continue;
    sent.nodes.push_back(one->report);
    if (sent.nodes.size() < max_in_message) continue;
    upper.send(sent);
    sent.nodes.clear();
  }
  fresh_beats.clear();
  if (!sent.nodes.empty()) upper.send(sent);
}

void relay::impl::send_acks() {
  acks_due = instant::max();
  if (!own.hears(clock)) return acks.clear();
  for (std::size_t from = 0; from < acks.size(); from += max_in_message) {
    const std::size_t to = std::min(acks.size(), from + max_in_message);
    acknowledgements sent;
    sent.list.assign(acks.begin() + static_cast<std::ptrdiff_t>(from),
                     acks.begin() + static_cast<std::ptrdiff_t>(to));
    upper.send(sent);
  }
  acks.clear();
}

void relay::impl::cut_those_gone() {
  const cluster_state& state = own.state();
  if (state.at() == curves_at) return;
  curves_at = state.at();
  auto now = members_by_key(state);
  for (const auto& [curve, name] : curves) {
    if (curve.empty() || now.contains(curve)) continue;
    names.erase(curve);
    members.remove(name);
    lower.cut(curve);
  }
  curves = std::move(now);
}

relay::relay(options how, const follower& own, change_log& own_log, blob_source& blobs,
             lower_links& lower, upper_link& upper)
    : impl_(std::make_unique<impl>(std::move(how), own, own_log, blobs, lower, upper)) {}
relay::~relay() = default;

void relay::on_announced(std::string_view topic, const message& what, instant now) {
  impl_->clock = now;
  // Relays that are connected in a ring hand nothing on twice, and apps' own messages and requests
  // only where there is a controller above.
  if (const auto* change = std::get_if<announcement>(&what)) {
    const digest name = change->what.after().state;
    if (!impl_->forwarded.insert(name).second) return;
    impl_->forwarded_order.push_back(name);
    if (impl_->forwarded_order.size() > max_forwarded) {
      impl_->forwarded.erase(impl_->forwarded_order.front());
      impl_->forwarded_order.pop_front();
    }
  } else if (const auto* sign = std::get_if<beacon>(&what)) {
    instant& last = impl_->beacons[{sign->controller, sign->time}];
    if (last != instant()) return;
    last = now;
    std::erase_if(impl_->beacons,
                  [now](const auto& one) { return now - one.second > beacons_for; });
  } else if (!std::holds_alternative<topic_message>(what) || !impl_->own.hears(now)) {
    // A welcome is each node's own, of who is right above it.
    return;
  }
  impl_->lower.announce(topic, what);
}

bool relay::on_answer(const message& what, instant now) {
  impl& self = *impl_;
  self.clock = now;
  if (const auto* again = std::get_if<repeat>(&what)) {
    // Somebody below has not answered; it is this node's own follower as well, perhaps.
    instant& last = self.repeated[again->what.seq];
    if (last == instant() || now - last >= repeat_every) {
      last = now;
      const auto& known = self.answered[again->what.seq];
      for (const auto& [name, ack] : known) self.acks.push_back(ack);
      if (!known.empty()) self.acks_due = std::min(self.acks_due, now + batch_for);
      std::set<peer_id> silent;
      for (const auto& [name, one] : self.members.all()) {
        if (!known.contains(name) && self.members.is_live(name, now)) silent.insert(one.via);
      }
      self.lower.send_all({silent.begin(), silent.end()}, what);
    }
    while (self.repeated.size() > kept_changes) self.repeated.erase(self.repeated.begin());
    while (self.answered.size() > kept_changes) self.answered.erase(self.answered.begin());
    return false;
  }
  if (const auto* wanted = std::get_if<fetch_blob>(&what)) {
    self.contents_of_nodes.on_fetch({}, {*wanted}, now);
    return true;
  }
  if (const auto* list = std::get_if<fetch_blobs>(&what)) {
    self.contents_of_nodes.on_fetch({}, list->list, now);
    return true;
  }
  if (const auto* some = std::get_if<blob_pieces>(&what)) {
    // All of one asker: this relay or its node's follower.
    if (some->list.empty() || some->list.front().ask < relay_asks) return false;
    for (const blob_piece& one : some->list) self.contents.on_piece(one, now);
    return true;
  }
  std::uint64_t ask = 0;
  std::visit(
      [&ask](const auto& one) {
        if constexpr (requires { one.ask; }) ask = one.ask;
      },
      what);
  if (ask < relay_asks || ask >= agent_asks) return false;
  if (const auto* piece = std::get_if<blob_piece>(&what)) {
    self.contents.on_piece(*piece, now);
    return true;
  }
  const auto found = self.handed_up.find(ask);
  if (found == self.handed_up.end()) return true;
  message answer = what;
  bool is_last = true;
  std::visit(
      [&](auto& one) {
        if constexpr (requires { one.ask; }) one.ask = found->second.ask;
        if constexpr (requires { one.done; }) is_last = one.done;
      },
      answer);
  self.lower.send(found->second.from, answer);
  if (is_last) {
    self.handed_up.erase(found);
  } else {
    found->second.until = now + asked_for;
  }
  return true;
}

void relay::on_message(const peer_id& from, message what, instant now) {
  impl& self = *impl_;
  self.clock = now;
  if (const auto* list = std::get_if<acknowledgements>(&what)) {
    for (const acknowledgement& ack : list->list) {
      if (!self.names.may_speak_for(self.own.state(), from, ack.node)) continue;
      self.acks.push_back(ack);
      self.answered[ack.seq].insert_or_assign(ack.node, ack);
    }
    while (self.answered.size() > kept_changes) self.answered.erase(self.answered.begin());
    if (!self.acks.empty()) self.acks_due = std::min(self.acks_due, now + batch_for);
  } else if (auto* report = std::get_if<beat>(&what)) {
    self.on_beat(from, std::move(*report));
  } else if (const auto* greeting = std::get_if<hello>(&what)) {
    self.on_hello(from, *greeting);
  } else if (const auto* asked = std::get_if<fetch_changes>(&what)) {
    self.lower.send(from, self.history.answer(*asked));
  } else if (const auto* whole = std::get_if<fetch_snapshot>(&what)) {
    self.lower.send(from, self.history.answer(*whole));
  } else if (const auto* content = std::get_if<fetch_blob>(&what)) {
    self.contents.on_fetch(from, {*content}, now);
  } else if (const auto* some = std::get_if<fetch_blobs>(&what)) {
    self.contents.on_fetch(from, some->list, now);
  } else if (const auto* piece = std::get_if<blob_piece>(&what)) {
    self.contents_of_nodes.on_piece(*piece, now);
  } else if (const auto* pieces = std::get_if<blob_pieces>(&what)) {
    for (const blob_piece& one : pieces->list) self.contents_of_nodes.on_piece(one, now);
  } else if (auto* missing = std::get_if<missing_blobs>(&what)) {
    self.hand_up(from, std::move(*missing), false);
  } else if (auto* part = std::get_if<put_blob>(&what)) {
    self.hand_up(from, std::move(*part), false);
  } else if (auto* order = std::get_if<submit>(&what)) {
    self.hand_up(from, std::move(*order), true);
  } else if (auto* question = std::get_if<query>(&what)) {
    self.hand_up(from, std::move(*question), false);
  } else if (std::holds_alternative<publish>(what)) {
    self.upper.send(what);
  }
}

void relay::on_subscribed(const peer_id&, std::string_view topic, instant now) {
  impl_->clock = now;
  if (topic.starts_with(topic_node_prefix)) {
    impl_->lower.announce(topic, welcome{impl_->own.state().at()});
  }
}

void relay::on_gone(const peer_id& who, instant now) {
  impl_->clock = now;
  impl_->names.erase(who);
  impl_->contents.forget(who);
}

void relay::tick(instant now) {
  impl& self = *impl_;
  self.clock = now;
  if (self.acks_due <= now) self.send_acks();
  if (self.beats_due <= now) self.send_beats();
  self.contents.tick(now);
  self.contents_of_nodes.tick(now);
  self.cut_those_gone();
  std::erase_if(self.handed_up, [now](const auto& one) { return one.second.until <= now; });
}

instant relay::next_tick() const {
  const impl& self = *impl_;
  instant result = std::min({self.acks_due, self.beats_due, self.contents.next_tick(),
                             self.contents_of_nodes.next_tick()});
  if (!self.handed_up.empty()) result = std::min(result, self.clock + 1s);
  return result;
}

std::vector<node_report> relay::nodes(instant) const {
  return impl_->members.reports();
}

}  // namespace troupe::cluster
