// SPDX-License-Identifier: Apache-2.0
#include "cluster/controller_impl.hpp"

#include "cluster/promotion.hpp"
#include "cluster/status_text.hpp"

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto beacon_every = 1s;

}  // namespace

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
    if (ack.step != ack_step::refused) {
      members.acknowledged(ack.node, push->second.progress.reached());
    }
    if (ack.step == ack_step::active) {
      members.serves(ack.node, push->second.progress.app(), push->second.progress.release());
    }
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
    answer.text =
        status_text(state, *aside, denied + (how.denied_links ? how.denied_links() : 0));
  } else if (what.what.starts_with(outcome_query)) {
    const auto id = parse_order_id(std::string_view(what.what).substr(outcome_query.size()));
    const auto under_way = id ? pushes.find(*id) : pushes.end();
    const auto not_yet = id ? early.find(*id) : early.end();
    std::optional<progress> found;
    if (under_way != pushes.end()) {
      found = under_way->second.progress.report(members, clock);
    } else if (not_yet != early.end()) {
      found.emplace();
      found->id = *id;
      found->state = not_yet->second.state;
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
    self.served.on_fetch(from, {*content}, now);
  } else if (const auto* some = std::get_if<fetch_blobs>(&what)) {
    self.served.on_fetch(from, some->list, now);
  } else if (const auto* several = std::get_if<blob_pieces>(&what)) {
    for (const blob_piece& one : several->list) self.served.on_piece(one, now);
  } else if (const auto* found = std::get_if<blob_piece>(&what)) {
    self.served.on_piece(*found, now);
  } else if (const auto* list = std::get_if<missing_blobs>(&what)) {
    missing_answer answer{list->ask, {}};
    for (const digest& name : list->names) {
      if (!self.blobs.keeps(name)) answer.names.push_back(name);
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

}  // namespace troupe::cluster
