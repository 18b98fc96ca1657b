// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster/simulation.hpp"

#include "cluster/compression.hpp"
#include "cluster/promotion.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;

constexpr auto client_retry = 1s;
constexpr auto proof_every = 1s;
/// Whoever leads in an epoch, and where in it: what must never go back.
using place = std::tuple<std::uint64_t, std::string, std::uint64_t>;

std::string curve_of(const std::string& name) {
  std::string result = name;
  result.resize(40, '0');
  return result;
}

}  // namespace

// ---- a machine's parts

void simulated_log::append(const change& next, appended done) {
  if (dies == death::none) {
    done(append_all({next}));
    return;
  }
  if (dies == death::after) [[maybe_unused]]
    auto kept = memory_log::append_all({next});
  dies = death::none;
  die();
}

tl::expected<void, refusal> simulated_log::append_all(const std::vector<change>& next) {
  if (is_full) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::io, .reason = "write failed (28: No space left on device)"});
  }
  if (dies == death::before) {
    dies = death::none;
    die();
    return tl::unexpected(refusal{.errc = refusal_errc::io, .reason = "killed"});
  }
  auto done = memory_log::append_all(next);
  if (dies == death::after) {
    dies = death::none;
    die();
  }
  return done;
}

tl::expected<void, refusal> simulated_blobs::put(const digest& name, std::string_view content) {
  if (is_full && !has(name)) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::io, .reason = "write failed (28: No space left on device)"});
  }
  return memory_blobs::put(name, content);
}

peer_id simulation::machine::peer() const {
  return curve_of(name);
}

wall_time simulation::machine::wall() const {
  return wall_time(std::chrono::duration_cast<milliseconds>(world.now().time_since_epoch())) +
         std::chrono::hours(24 * 365 * 50) + clock_off;
}

void simulation::machine::verify(const std::string& app, std::uint32_t release,
                                 const manifest& files) {
  for (const manifest_file& file : files.files) {
    const auto content = blobs.get(file.content);
    if (!content || digest::of(*content) != file.content) {
      world.problem(name + " was given release " + std::to_string(release) + " of " + app +
                    " without the content of " + file.path);
    }
  }
}

void simulation::machine::answer(const std::string& app, done then, std::string refused,
                                 std::function<void()> effect) {
  const bool waits = std::any_of(hanging.begin(), hanging.end(),
                                 [&](const auto& one) { return one.first == app; });
  if (mode == host_mode::hangs || waits) {
    hanging.emplace_back(app, [this, app, born = life, then = std::move(then),
                               refused = std::move(refused), effect = std::move(effect)]() mutable {
      if (is_up && life == born)
        answer(app, std::move(then), std::move(refused), std::move(effect));
    });
    return;
  }
  const auto wait = mode == host_mode::slow ? 2'000ms : milliseconds(1 + world.dice(10));
  // One after the other, as they were asked for.
  instant& until = busy_until[app];
  until = std::max(until, world.now() + wait);
  world.after(std::chrono::duration_cast<milliseconds>(until - world.now()),
              [this, born = life, then = std::move(then), refused = std::move(refused),
               effect = std::move(effect)] {
                if (!is_up || life != born) return;
                if (refused.empty() && effect) effect();
                then({refused, 1.0});
              });
}

void simulation::machine::prepare(const std::string& app, std::uint32_t release,
                                  const manifest& files, done then) {
  if (std::exchange(dies_at_prepare, false)) is_dying = true;
  verify(app, release, files);
  prepared[app].push_back(release);
  answer(app, std::move(then),
         mode == host_mode::refuses ? "lua/a.lua:3: '=' expected near 'x'" : "", nullptr);
}

void simulation::machine::activate(const std::string& app, std::uint32_t release,
                                   const manifest& files, done then) {
  if (std::exchange(dies_at_activate, false)) is_dying = true;
  verify(app, release, files);
  activated[app].push_back(release);
  const auto known = node->state().apps().find(app);
  if (known == node->state().apps().end() || known->second.active_on(name, labels) != release) {
    world.problem(name + " activates release " + std::to_string(release) + " of " + app +
                  ", which no activate in its history says");
  }
  answer(app, std::move(then), mode == host_mode::refuses ? "the port is in use" : "",
         [this, app, release, id = files.id()] {
           serving[app] = release;
           serving_manifest[app] = id;
         });
}

// ---- the world

simulation::simulation(options how) : how_(how), random_(how.seed * 7919 + 17) {
  if (how_.has_keys) {
    admin_ = *signing_key::make();
    root_[admin_->id()] = {static_cast<key_roles>(key_role::admin), "admin"};
  }
  const auto add = [&](const std::string& name) -> machine& {
    auto made = std::make_unique<machine>(*this, name);
    made->log.die = [raw = made.get()] { raw->is_dying = true; };
    if (how_.has_keys) made->key = *signing_key::make();
    machines_.push_back(std::move(made));
    return *machines_.back();
  };
  std::vector<std::string> leaders;
  std::vector<std::string> relays;
  for (unsigned i = 0; i < how_.leaders; ++i) {
    add("c" + std::to_string(i)).may_lead = true;
    leaders.push_back(machines_.back()->name);
  }
  for (unsigned i = 0; i < how_.relays; ++i) {
    machine& one = add("r" + std::to_string(i));
    one.is_relay = true;
    one.uppers = leaders;
    relays.push_back(one.name);
  }
  for (machine* one : {machines_.front().get()}) one->uppers = leaders;
  for (unsigned i = 0; i < how_.leaders; ++i) machines_[i]->uppers = leaders;
  for (unsigned i = 0; i < how_.nodes; ++i) {
    machine& one = add("n" + std::to_string(i));
    one.labels["zone"] = i % 2 == 0 ? "eu" : "us";
    one.uppers = relays;
    if (!how_.through_relays || relays.empty()) {
      one.uppers.insert(one.uppers.end(), leaders.begin(), leaders.end());
    }
  }
  for (auto& one : machines_) {
    std::erase(one->uppers, one->name);
    std::shuffle(one->uppers.begin(), one->uppers.end(), random_);
  }
  // A new cluster: its first controller makes itself that, and the others members.
  machine& first = *machines_.front();
  std::vector<signed_order> orders;
  const auto member = [&](const machine& one) {
    member_order body;
    body.name = one.name;
    if (how_.has_keys) body.curve = curve_of(one.name);
    if (one.key) body.signing = one.key->id();
    if (one.may_lead || one.is_relay) body.address = "127.0.0.1:7000";
    body.may_lead = one.may_lead;
    return sign(make_order({}, body));
  };
  orders.push_back(member(first));
  orders.push_back(sign(make_order({}, promote_order{first.name, 1})));
  for (const auto& one : machines_) {
    if (one.get() != &first) orders.push_back(member(*one));
  }
  for (auto& one : machines_) {
    start(one->name);
    if (one.get() == &first) lead(first, orders);
  }
}

simulation::~simulation() = default;

simulation::machine& simulation::at(const std::string& name) {
  for (auto& one : machines_) {
    if (one->name == name) return *one;
  }
  std::abort();
}

std::vector<std::string> simulation::names() const {
  std::vector<std::string> result;
  for (const auto& one : machines_) result.push_back(one->name);
  return result;
}

simulation::machine* simulation::leader() const {
  machine* result = nullptr;
  for (const auto& one : machines_) {
    if (!one->is_up || !one->leads || one->leads->has_lost()) continue;
    if (result == nullptr || outranks(one->leads->state(), result->leads->state())) {
      result = one.get();
    }
  }
  return result;
}

void simulation::problem(std::string what) {
  note("PROBLEM " + what);
  if (problems_.size() < 20) problems_.push_back(std::move(what));
}

void simulation::note(const std::string& line) const {
  if (!how_.is_verbose) return;
  const auto ms = std::chrono::duration_cast<milliseconds>(now_.time_since_epoch()).count();
  std::fprintf(stderr, "%8lld %s\n", static_cast<long long>(ms - 3'600'000), line.c_str());
}

void simulation::after(milliseconds delay, std::function<void()> what) {
  events_.push({now_ + delay, ++numbers_, std::move(what)});
}

// ---- links

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
      there.node->on_announced(topic, std::move(got), now_);
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
  if (there.leads) there.leads->on_message(curve_of(from), what, now_);
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

// ---- what a machine is

void simulation::start(const std::string& name) {
  machine& of = at(name);
  if (of.is_up) return;
  note("start " + name);
  of.is_up = true;
  of.is_dying = false;
  of.lost_epoch = 0;
  ++of.life;
  follower::options node;
  node.name = name;
  node.role = of.may_lead ? "controller" : of.is_relay ? "relay" : "node";
  node.labels = of.labels;
  node.root = root_;
  node.log = [this, name](log_level, std::string_view line) {
    note(name + ": " + std::string(line));
  };
  node.wake = [&of] { of.is_woken = true; };
  of.node = std::make_unique<follower>(node, of.log, of.blobs, of, of);
  of.serving.clear();
  of.serving_manifest.clear();
  of.busy_until.clear();
  of.hanging.clear();
  if (auto begun = of.node->start(now_); !begun) {
    problem(name + " does not start: " + begun.error().reason);
    return;
  }
  if (of.may_lead && of.node->state().controller() == name) {
    lead(of, {});
  } else {
    follow(of);
  }
  check(of);
}

void simulation::lead(machine& of, std::vector<signed_order> first) {
  lose_link(of);
  of.relays.reset();
  of.takes_over.reset();
  controller::options how;
  how.name = of.name;
  how.key = of.key;
  how.root = root_;
  how.wall_clock = [&of] { return of.wall(); };
  how.log = [this, name = of.name](log_level, std::string_view line) {
    note(name + ": " + std::string(line));
  };
  how.checkpoint_every = how_.checkpoint_every;
  of.leads = std::make_unique<controller>(how, of.log, of.blobs, of);
  if (auto begun = of.leads->start(now_, std::move(first)); !begun) {
    note(of.name + " does not lead: " + begun.error().reason);
    of.leads.reset();
    if (!of.is_dying) follow(of);
    return;
  }
  note(of.name + " leads epoch " + std::to_string(of.leads->state().at().epoch));
  if (!of.is_dying) of.node->on_link(true, now_);
}

void simulation::follow(machine& of) {
  of.leads.reset();
  of.takes_over.reset();
  of.node->on_link(false, now_);
  if (of.may_lead || of.is_relay) {
    of.relays = std::make_unique<relay>(relay::options{of.name, nullptr}, *of.node, of.log,
                                        of.blobs, of, of);
  }
  connect(of);
}

/// What follows from what has happened to it: a controller that lost, one that was made one.
void simulation::role(machine& of) {
  if (!of.is_up || of.is_dying) return;
  if (of.leads && of.leads->has_lost()) {
    note(of.name + " steps down");
    of.lost_epoch = of.leads->state().at().epoch;
    follow(of);
  }
  if (of.takes_over && of.takes_over->done()) {
    lead(of, {*of.promotion});
  } else if (of.may_lead && !of.leads && !of.takes_over &&
             of.node->state().controller() == of.name &&
             of.node->state().at().epoch > of.lost_epoch) {
    lead(of, {});
  }
}

void simulation::kill(const std::string& name) {
  machine& of = at(name);
  if (!of.is_up) return;
  note("kill " + name);
  of.is_up = false;
  ++of.life;
  of.takes_over.reset();
  of.relays.reset();
  of.leads.reset();
  of.node.reset();
  of.upper.clear();
  of.is_dying = false;
  of.log.dies = simulated_log::death::none;
  for (auto& one : machines_) {
    if (one->is_up && one->upper == name) {
      // The system closes its sockets.
      after(milliseconds(1 + dice(5)), [this, below = one->name, name, life = one->life] {
        machine& left = at(below);
        if (!left.is_up || left.life != life || left.upper != name || at(name).is_up) return;
        connect_anew(left);
      });
    }
  }
}

void simulation::reap() {
  for (auto& one : machines_) {
    if (!one->is_up || !one->is_dying) continue;
    kill(one->name);
    after(milliseconds(100 + dice(1'000)), [this, name = one->name] { start(name); });
  }
}

void simulation::kill_at_append(const std::string& name, bool after_it) {
  at(name).log.dies = after_it ? simulated_log::death::after : simulated_log::death::before;
}

void simulation::cut(const std::string& a, const std::string& b, bool is_cut) {
  const std::pair<std::string, std::string> both{std::min(a, b), std::max(a, b)};
  if (is_cut) {
    cuts_.insert(both);
  } else {
    cuts_.erase(both);
  }
}

void simulation::cut_off(const std::set<std::string>& group, bool is_cut) {
  for (const auto& one : machines_) {
    if (group.contains(one->name)) continue;
    for (const std::string& inside : group) cut(inside, one->name, is_cut);
  }
}

void simulation::fill_disk(const std::string& name, bool is_full) {
  at(name).log.is_full = is_full;
  at(name).blobs.is_full = is_full;
}

void simulation::move(const std::string& name) {
  connect_anew(at(name));
}

void simulation::sweep(const std::string& name) {
  machine& of = at(name);
  if (!of.is_up) return;
  const auto needed = of.node->needed();
  for (const digest& one : of.blobs.names()) {
    if (!needed.contains(one)) of.blobs.remove(one);
  }
}

void simulation::jump_clock(const std::string& name, milliseconds by) {
  at(name).clock_off += by;
}

void simulation::heal() {
  note("heal");
  loss = 0;
  doubling = 0;
  max_delay = 3ms;
  filter = nullptr;
  cuts_.clear();
  for (auto& one : machines_) {
    one->mode = host_mode::good;
    for (auto& [app, call] : std::exchange(one->hanging, {})) call();
    one->errors = 0;
    one->dies_at_prepare = false;
    one->dies_at_activate = false;
    one->log.dies = simulated_log::death::none;
    fill_disk(one->name, false);
    if (!one->is_up) start(one->name);
  }
}

// ---- what people do

order simulation::make_order(std::string app, order_body body) {
  order made;
  const digest hash = digest::of("order " + std::to_string(++orders_));
  std::memcpy(made.id.data(), hash.bytes.data(), made.id.size());
  made.app = std::move(app);
  made.author = "ann";
  // By nobody's clock that jumps.
  made.time = wall_time(std::chrono::hours(24 * 365 * 50));
  made.expires = wall_time(std::chrono::hours(24 * 365 * 60));
  made.body = std::move(body);
  return made;
}

signed_order simulation::sign(const order& what) const {
  return admin_ ? signed_order::make(what, *admin_) : signed_order::make_unsigned(what);
}

simulation::client& simulation::submit_signed(const std::string& via, const signed_order& what,
                                              const order_id& id) {
  auto made = std::make_unique<client>();
  made->id = id;
  made->via = via;
  made->what = what;
  made->retry = now_;
  clients_.push_back(std::move(made));
  send_client(*clients_.back());
  return *clients_.back();
}

simulation::client& simulation::submit(const std::string& via, const order& what,
                                       std::map<digest, std::string> blobs) {
  auto made = std::make_unique<client>();
  made->id = what.id;
  made->via = via;
  made->what = sign(what);
  made->blobs = std::move(blobs);
  for (const auto& [name, content] : made->blobs) made->to_send.insert(name);
  made->retry = now_;
  clients_.push_back(std::move(made));
  send_client(*clients_.back());
  return *clients_.back();
}

simulation::client& simulation::set(const std::string& via, const std::string& key,
                                    const std::string& value, selector scope) {
  config_order body;
  body.key = key;
  body.value = value;
  body.scope = std::move(scope);
  return submit(via, make_order("default", body));
}

simulation::client& simulation::push(const std::string& via, const std::string& app,
                                     unsigned content, push_policy policy, selector to) {
  std::map<digest, std::string> blobs;
  manifest files;
  for (unsigned i = 0; i < 3; ++i) {
    // One file is in every release, the others are its own; the last does not fit an announcement.
    std::string text =
        app + (i == 0 ? "" : " " + std::to_string(content) + " " + std::to_string(i));
    if (i == 2) {
      std::mt19937 noise(content);
      for (unsigned at = 0; at < 20'000; ++at) text += static_cast<char>(noise());
    }
    const digest name = digest::of(text);
    files.files.push_back({"lua/" + std::to_string(i) + ".lua", false, text.size(), name});
    blobs[name] = std::move(text);
  }
  files.sort();
  release_order body;
  body.manifest = files.id();
  const std::string bytes = files.encode();
  body.manifest_bytes = bytes.size();
  body.policy = policy;
  body.to = std::move(to);
  blobs[body.manifest] = bytes;
  ordered_manifests_.insert(body.manifest);
  return submit(via, make_order(app, body), std::move(blobs));
}

simulation::client& simulation::rollback(const std::string& via, const std::string& app,
                                         std::uint32_t release) {
  rollback_order body;
  body.release = release;
  return submit(via, make_order(app, body));
}

simulation::client& simulation::hand_over(const std::string& via, const std::string& to) {
  return submit(via, make_order({}, promote_order{to, at(via).node->state().at().epoch + 1}));
}

void simulation::promote(const std::string& name, std::uint64_t epoch) {
  machine& of = at(name);
  if (!of.is_up || of.is_dying || of.leads || of.takes_over) return;
  if (epoch == 0) epoch = of.node->state().at().epoch + 1;
  note("promote " + name + " to epoch " + std::to_string(epoch));
  of.promotion = sign(make_order({}, promote_order{name, epoch}));
  lose_link(of);
  takeover::options how;
  how.log = [this, name](log_level, std::string_view line) {
    note(name + ": " + std::string(line));
  };
  of.takes_over = std::make_unique<takeover>(how, *of.node, of, now_);
}

void simulation::send_client(client& whom) {
  if (whom.is_done || whom.gave_up) return;
  machine& via = at(whom.via);
  whom.retry = now_ + client_retry;
  if (!via.is_up || via.is_dying) return;
  whom.ask = agent_asks + ++asks_;
  if (!whom.to_send.empty()) {
    const digest name = *whom.to_send.begin();
    const std::string bytes = compress(whom.blobs.at(name));
    put_blob piece{whom.ask, name, 0, bytes.size(), bytes};
    from_below(via, piece);
    return;
  }
  from_below(via, troupe::cluster::submit{whom.ask, whom.what});
}

void simulation::on_answer(machine& there, const message& what) {
  for (auto& one : clients_) {
    if (one->is_done || one->via != there.name) continue;
    if (const auto* put = std::get_if<put_answer>(&what); put != nullptr && put->ask == one->ask) {
      one->problem = put->problem;
      if (put->problem.empty()) {
        one->to_send.erase(put->name);
        send_client(*one);
      }
      return;
    }
    if (const auto* how = std::get_if<progress>(&what); how != nullptr && how->ask == one->ask) {
      tell(*one, *how);
      return;
    }
  }
}

void simulation::tell(client& whom, const progress& how) {
  whom.retry = now_ + client_retry;
  // Another controller: what was sent is to be sent again, and asked again.
  whom.problem = how.reason;
  if (how.done && how.error == "missing_content") {
    for (const auto& [name, content] : whom.blobs) whom.to_send.insert(name);
    return;
  }
  if (how.done && how.error == "no_controller") return;
  whom.last = how;
  if (!how.done) return;
  note("order " + text(whom.id).substr(0, 6) + " is done: " + how.state + " " + how.error + " " +
       how.reason);
  whom.is_done = true;
  whom.done_at = now_;
  whom.answered_epoch = epoch_above(whom.via);
}

std::uint64_t simulation::epoch_above(const std::string& name) {
  std::string at_name = name;
  for (std::size_t i = 0; i < machines_.size() && !at_name.empty(); ++i) {
    const machine& one = at(at_name);
    if (one.leads) return one.leads->state().at().epoch;
    at_name = one.upper;
  }
  return 0;
}

void simulation::tick_clients() {
  for (auto& one : clients_) {
    if (!one->is_done && !one->gave_up && one->retry <= now_) send_client(*one);
  }
}

// ---- time

instant simulation::next_tick(const machine& of) const {
  if (!of.is_up) return instant::max();
  if (of.is_woken) return now_;
  instant result = of.node->next_tick();
  if (of.leads) result = std::min(result, of.leads->next_tick());
  if (of.relays && !of.takes_over) result = std::min(result, of.relays->next_tick());
  if (of.takes_over) result = std::min(result, of.takes_over->next_tick());
  return result;
}

void simulation::tick(machine& of) {
  of.is_woken = false;
  of.node->tick(now_);
  if (of.leads) of.leads->tick(now_);
  if (of.relays && !of.takes_over) of.relays->tick(now_);
  if (of.takes_over) of.takes_over->tick(now_);
}

void simulation::step(instant until) {
  instant next = events_.empty() ? until : std::min(until, events_.top().at);
  machine* due = nullptr;
  for (auto& one : machines_) {
    const instant at = next_tick(*one);
    if (at < next || (at == next && due == nullptr && (events_.empty() || events_.top().at > at))) {
      next = at;
      due = one.get();
    }
  }
  for (const auto& one : clients_) {
    if (!one->is_done && !one->gave_up && one->retry < next) {
      next = std::max(now_, one->retry);
      due = nullptr;
    }
  }
  now_ = std::max(now_, next);
  ++steps_;
  // Who wants to be called at once again and again does nothing but that.
  same_time_ = now_ == last_time_ ? same_time_ + 1 : 0;
  last_time_ = now_;
  if (same_time_ > 100'000) {
    problem("time stands still" + (due != nullptr ? " at " + due->name : std::string()));
    now_ += 1ms;
  }
  if (due != nullptr && now_ < until) {
    tick(*due);
  } else if (!events_.empty() && events_.top().at <= now_) {
    const auto what = events_.top().what;
    events_.pop();
    what();
  }
  tick_clients();
  reap();
  for (auto& one : machines_) {
    if (!one->is_up) continue;
    role(*one);
    check(*one);
  }
  reap();
}

void simulation::run_for(milliseconds time) {
  const instant end = now_ + time;
  while (now_ < end) {
    step(std::min(end, proof_due_));
    if (now_ < proof_due_) continue;
    proof_due_ = now_ + proof_every;
    // The agent of a controller calls the members that bind.
    for (auto& one : machines_) {
      if (!one->is_up || !one->leads || one->is_dying) continue;
      for (auto& other : machines_) {
        if (other == one || !other->leads || is_cut(one->name, other->name)) continue;
        travel(one->name, other->name, one->leads->proof(),
               [this, from = one->peer(), to = other->name](message got) {
                 if (at(to).leads) at(to).leads->on_message(from, std::move(got), now_);
               });
      }
    }
  }
}

bool simulation::run_until(const std::function<bool()>& what, milliseconds at_most) {
  const instant end = now_ + at_most;
  while (!what()) {
    if (now_ >= end) return false;
    run_for(1ms);
  }
  return true;
}

// ---- what must hold

void simulation::check(machine& of) {
  const cluster_state& state = of.node->state();
  const position& at = state.at();
  if (at == of.was_at) return;
  const std::string under(state.controller());
  const auto rank = [&](const std::string& leader) {
    const auto member = state.members().find(leader);
    return how_.has_keys && member != state.members().end()
               ? std::string(member->second.signing.raw())
               : leader;
  };
  const place before{of.was_at.epoch, rank(of.was_under), of.was_at.seq};
  const place now{at.epoch, rank(under), at.seq};
  if (now < before) {
    problem(of.name + " went back from epoch " + std::to_string(of.was_at.epoch) + " of " +
            of.was_under + ", change " + std::to_string(of.was_at.seq) + ", to epoch " +
            std::to_string(at.epoch) + " of " + under + ", change " + std::to_string(at.seq));
  }
  of.was_at = at;
  of.was_under = under;
  const auto [seen, is_new] = seen_.try_emplace({at.epoch, under, at.seq}, at.state);
  if (!is_new && seen->second != at.state) {
    problem(of.name + " has another change " + std::to_string(at.seq) + " of epoch " +
            std::to_string(at.epoch) + " than others");
  }
}

std::string simulation::why_not_converged() const {
  const machine* head = leader();
  if (head == nullptr) return "nobody leads";
  const cluster_state& state = head->leads->state();
  for (const auto& one : machines_) {
    if (!one->is_up) return one->name + " is down";
    if (one->node->state().at() != state.at()) {
      return one->name + " (under " + one->upper + ") is at " +
             std::to_string(one->node->state().at().epoch) + "/" +
             std::to_string(one->node->state().at().seq) + ", the controller " + head->name +
             " at " + std::to_string(state.at().epoch) + "/" + std::to_string(state.at().seq) +
             ": " + one->node->report().problem;
    }
    for (const auto& [name, app] : state.apps()) {
      const std::uint32_t wanted = app.active_on(one->name, one->labels);
      const auto serves = one->serving.find(name);
      const auto release = app.releases.find(wanted);
      const bool is_it = serves != one->serving.end() && serves->second == wanted &&
                         release != app.releases.end() &&
                         one->serving_manifest[name] == release->second.manifest;
      if (wanted != 0 && !is_it) {
        return one->name + " does not serve release " + std::to_string(wanted) + " of " + name +
               ": " + one->node->report().problem;
      }
    }
    if (one->values != state.config_of(one->name, one->labels)) {
      return one->name + " has other values";
    }
  }
  return {};
}

bool simulation::is_converged() const {
  return why_not_converged().empty();
}

void simulation::converge() {
  heal();
  // What somebody ordered there is the last fault.
  run_until(
      [this] {
        return std::none_of(machines_.begin(), machines_.end(),
                            [](const auto& one) { return one->takes_over != nullptr; });
      },
      10'000ms);
  // Orders that are still on their way make changes of their own.
  run_for(4'500ms);
  if (!run_until([this] { return is_converged(); }, 500ms)) {
    problem("not converged 5 s after the last fault: " + why_not_converged());
  }
  // Who asks for its order again is told how it went.
  run_until(
      [this] {
        return std::all_of(clients_.begin(), clients_.end(),
                           [](const auto& one) { return one->is_done || one->gave_up; });
      },
      25'000ms);
  run_until([this] { return is_converged(); }, 5'000ms);
  check_in_the_end();
}

void simulation::check_log(const machine& of) {
  std::set<order_id> aborted;
  const auto list = of.log.read(of.log.begins_after(), 1u << 30);
  if (!list) return problem("the log of " + of.name + " cannot be read");
  for (const change& one : *list) {
    const auto what = order::decode(one.ordered.bytes);
    if (!what) return problem("an order in the log of " + of.name + " cannot be decoded");
    if (const auto* no = std::get_if<abort_order>(&what->body)) aborted.insert(no->push);
    const auto* yes = std::get_if<activate_order>(&what->body);
    if (yes != nullptr && aborted.contains(yes->push)) {
      problem("an activate follows the abort of its push");
    }
    const auto* release = std::get_if<release_order>(&what->body);
    if (release != nullptr && !ordered_manifests_.contains(release->manifest)) {
      problem("a release that nobody ordered is in the log");
    }
  }
}

void simulation::check_in_the_end() {
  if (const std::string why = why_not_converged(); !why.empty()) problem("in the end: " + why);
  machine* head = leader();
  if (head == nullptr) return;
  for (const auto& one : machines_) check_log(*one);
  std::set<order_id> aside;
  for (const auto& one : machines_) {
    const auto kept = one->log.aside();
    for (const change& lost : *kept) {
      if (const auto what = order::decode(lost.ordered.bytes)) aside.insert(what->id);
    }
  }
  const cluster_state& state = head->leads->state();
  for (const auto& one : clients_) {
    if (!one->is_done) {
      if (!one->gave_up)
        problem("an order was never answered: " + text(one->id) + " by " + one->via +
                ", contents to send: " + std::to_string(one->to_send.size()) + ", " +
                (one->last ? one->last->state : one->problem));
      continue;
    }
    const std::string& how = one->last->state;
    const bool is_acknowledged = how == "applied" || how == "active" || how == "partial";
    if (is_acknowledged && !state.seq_of(one->id) && !aside.contains(one->id)) {
      problem("an acknowledged order is lost: " + text(one->id) + " " + how);
    }
    const push_record* record = state.outcome(one->id);
    if (record != nullptr && how == "active" && record->step != push_step::active &&
        !aside.contains(one->id)) {
      problem("an order was said to be active and is not: " + text(one->id));
    }
    // What one that leads no more has refused, the next does not know of: another copy that is on its
    // way still is done.
    const bool is_said_by_it = one->answered_epoch == state.at().epoch;
    if (record != nullptr && how == "aborted" && record->step == push_step::active &&
        is_said_by_it && !aside.contains(one->id)) {
      problem("an order was said to be aborted and is active: " + text(one->id));
    }
  }
}

}  // namespace troupe::tests
