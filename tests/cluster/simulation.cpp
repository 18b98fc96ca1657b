// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster/simulation.hpp"

#include "cluster/promotion.hpp"

#include <algorithm>
#include <cstdio>

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;

constexpr auto proof_every = 1s;

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
  std::string result = name;
  result.resize(40, '0');
  return result;
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
    if (how_.has_keys) body.curve = one.peer();
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

}  // namespace troupe::tests
