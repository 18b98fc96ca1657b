// SPDX-License-Identifier: Apache-2.0
#include "cluster/controller_impl.hpp"

#include "cluster/load_state.hpp"
#include "cluster/promotion.hpp"

#include <algorithm>

namespace troupe::cluster {

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
  const std::uint32_t release = one.progress.release();
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

/// Who ordered would else take a controller that is busy for one that is gone.
void controller::impl::tell_early() const {
  for (const auto& [id, one] : early) {
    progress so_far;
    so_far.id = id;
    so_far.state = one.state;
    for (const teller& each : one.tellers) each(so_far);
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
  for (const auto& [name, member] : self.state.members()) {
    node_report one;
    one.name = name;
    one.address = member.address;
    one.role = name == self.how.name ? "controller" : "node";
    self.members.expect(std::move(one), now, self.beacon_base);
  }
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
void controller::tick(instant now) {
  impl& self = *impl_;
  self.clock = now;
  self.log.poll();
  if (self.is_lost) return;
  self.served.tick(now);
  self.copies.tick(now);
  if (self.beacon_due <= now) {
    self.send_beacon();
    self.tell_early();
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
    if (one.is_news && !one.tellers.empty()) result = std::min(result, one.told + impl::progress_every);
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
