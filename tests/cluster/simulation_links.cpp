// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster/simulation.hpp"

#include <algorithm>

namespace troupe::tests {

using namespace std::chrono_literals;

bool simulation::is_cut(const std::string& a, const std::string& b) const {
  return cuts_.contains({std::min(a, b), std::max(a, b)});
}

void simulation::travel(const std::string& from, const std::string& to, const message& what,
                        std::function<void(message)> arrive) {
  if (filter && !filter(from, to, what)) return;
  const unsigned copies = chance(loss) ? 0 : chance(doubling) ? 2 : 1;
  // As bytes: what cannot be decoded is a problem of ours.
  const std::string bytes = encode(what);
  for (unsigned i = 0; i < copies; ++i) {
    const milliseconds delay(1 + dice(static_cast<unsigned>(max_delay.count())));
    after(delay, [this, from, to, bytes, arrive, life = at(to).life] {
      machine& there = at(to);
      if (!there.is_up || there.life != life || is_cut(from, to)) return;
      auto decoded = decode_message(bytes);
      if (!decoded) return problem("a message cannot be decoded: " + decoded.error().reason);
      arrive(*std::move(decoded));
    });
  }
}

void simulation::from_below(machine& from, const message& what) {
  if (from.is_dying || !from.is_up) return;
  if (from.takes_over) return from.takes_over->link().send(what);
  const std::string to = from.leads ? from.name : from.upper;
  if (to.empty()) return;
  const peer_id peer = from.peer();
  const auto arrive = [this, to, peer](message got) {
    machine& there = at(to);
    if (there.refused_peers.contains(peer)) return;
    if (there.takes_over) there.takes_over->on_message(peer, got, now_);
    if (there.leads) {
      there.leads->on_message(peer, std::move(got), now_);
    } else if (there.relays) {
      there.relays->on_message(peer, std::move(got), now_);
    }
  };
  if (to == from.name) {
    after(0ms, [this, to, what, arrive, life = from.life] {
      if (at(to).is_up && at(to).life == life) arrive(what);
    });
    return;
  }
  travel(from.name, to, what, arrive);
}

void simulation::announce(machine& from, std::string_view topic, const message& what) {
  if (from.is_dying || !from.is_up) return;
  for (auto& one : machines_) {
    const bool is_own = one.get() == &from && from.leads != nullptr;
    if (!one->is_up || (!is_own && one->upper != from.name)) continue;
    if (topic.starts_with(topic_node_prefix) && topic != "node/" + one->name) continue;
    const auto arrive = [this, to = one->name, above = from.name,
                         topic = std::string(topic)](message got) {
      machine& there = at(to);
      if (to != above && there.upper != above) return;
      if (there.relays) there.relays->on_announced(topic, got, now_);
      if (how_.has_keys) there.heard_from = at(above).peer();
      there.node->on_announced(topic, std::move(got), now_);
      there.heard_from.clear();
    };
    if (is_own) {
      after(0ms, [this, to = one->name, what, arrive, life = one->life] {
        if (at(to).is_up && at(to).life == life) arrive(what);
      });
    } else {
      travel(from.name, one->name, what, arrive);
    }
  }
}

void simulation::send_down(machine& from, const peer_id& to, const message& what) {
  if (from.is_dying || !from.is_up) return;
  for (auto& one : machines_) {
    if (one->peer() != to) continue;
    const auto arrive = [this, name = one->name, above = from.name](message got) {
      machine& there = at(name);
      if (name != above && there.upper != above) return;
      if (there.relays && there.relays->on_answer(got, now_)) return;
      on_answer(there, got);
      there.node->on_message(std::move(got), now_);
    };
    if (one.get() == &from) {
      after(0ms, [this, name = one->name, what, arrive, life = one->life] {
        if (at(name).is_up && at(name).life == life) arrive(what);
      });
    } else {
      travel(from.name, one->name, what, arrive);
    }
  }
}

void simulation::deliver(const std::string& from, const std::string& to, const message& what) {
  machine& there = at(to);
  if (there.leads) there.leads->on_message(at(from).peer(), what, now_);
  if (there.relays) there.relays->on_message(at(from).peer(), what, now_);
}

void simulation::cut_peer(machine& from, const peer_id& who) {
  from.refused_peers.insert(who);
  for (auto& one : machines_) {
    if (one->peer() == who && one->upper == from.name) lose_link(*one);
  }
}

void simulation::lose_link(machine& of) {
  if (of.upper.empty()) return;
  const std::string above = std::exchange(of.upper, std::string());
  note(of.name + " loses its link to " + above);
  if (of.is_up && !of.leads && !of.takes_over) of.node->on_link(false, now_);
  if (at(above).is_up) {
    if (at(above).leads) at(above).leads->on_gone(of.peer(), now_);
    if (at(above).relays) at(above).relays->on_gone(of.peer(), now_);
  }
}

void simulation::connect_anew(machine& of) {
  if (of.leads || of.takes_over) return;
  // From within a call of the node itself: later.
  after(milliseconds(1), [this, name = of.name, life = of.life] {
    machine& one = at(name);
    if (!one.is_up || one.life != life) return;
    lose_link(one);
    ++one.next_upper;
    after(milliseconds(50 + dice(200)), [this, name, life] {
      machine& again = at(name);
      if (again.is_up && again.life == life && again.upper.empty()) connect(again);
    });
  });
}

void simulation::connect(machine& of) {
  if (!of.is_up || of.leads || of.takes_over || !of.upper.empty() || of.uppers.empty()) return;
  const std::string to = of.uppers[of.next_upper % of.uppers.size()];
  if (!at(to).is_up || is_cut(of.name, to) || at(to).refused_peers.contains(of.peer())) {
    ++of.next_upper;
    after(milliseconds(100 + dice(200)), [this, name = of.name, life = of.life] {
      if (at(name).life == life) connect(at(name));
    });
    return;
  }
  of.upper = to;
  note(of.name + " connects to " + to);
  of.node->on_link(true, now_);
  after(milliseconds(1 + dice(5)), [this, name = of.name, to, life = of.life] {
    machine& below = at(name);
    machine& above = at(to);
    if (!below.is_up || below.life != life || below.upper != to || !above.is_up) return;
    if (is_cut(name, to)) return;
    if (above.leads) above.leads->on_subscribed(below.peer(), "node/" + name, now_);
    if (above.relays) above.relays->on_subscribed(below.peer(), "node/" + name, now_);
  });
}

}  // namespace troupe::tests
