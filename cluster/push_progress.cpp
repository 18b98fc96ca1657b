// SPDX-License-Identifier: Apache-2.0
#include "cluster/push_progress.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto first_repeat = 100ms;
/// A controller needs its time to reach all, and what is repeated meanwhile makes it longer.
constexpr auto a_node_needs = 1ms;
constexpr auto longest_repeat = 1'000ms;
/// For acknowledgements of a swap or of a change of one step.
constexpr auto apply_deadline = 10s;
/// After the swap on all that were ready, of a push with --require.
constexpr auto wait_for_late = 1s;

}  // namespace

push_progress::push_progress(const order& what, const change& in, bool is_two_step, selector to,
                             push_policy policy, const membership& members, ack_pace& pace,
                             instant now)
    : id_(what.id),
      app_(what.app),
      release_(in.release),
      is_two_step_(is_two_step),
      is_value_(std::holds_alternative<config_order>(what.body)),
      to_(std::move(to)),
      policy_(std::move(policy)),
      step_(is_two_step ? step::preparing : step::applying),
      pace_(pace),
      begun_(now) {
  if (const auto* release = std::get_if<release_order>(&what.body)) manifest_ = release->manifest;
  if (const auto* back = std::get_if<rollback_order>(&what.body)) release_ = back->release;
  for (const auto& [name, one] : members.all()) {
    if (!to_.matches(name, one.report.labels)) continue;
    if (members.is_live(name, now)) {
      nodes_[name];
    } else {
      absent_.push_back(name);
    }
  }
  begin(in, now);
  step_ends_ =
      now + (is_two_step ? policy_.prepare_deadline : std::chrono::milliseconds(apply_deadline));
}

void push_progress::begin(const change& what, instant now) {
  present_ = what;
  reached_ = what.after();
  due_ = static_cast<std::size_t>(
      std::count_if(nodes_.begin(), nodes_.end(), [](const auto& one) { return one.second.is_due; }));
  has_repeated_ = false;
  repeat_after_ = before_repeat();
  repeat_at_ = now + repeat_after_;
  repeat_by_ = now + longest_repeat;
  answered_ = 0;
  progress_at_ = pause_began_ = now;
  look_again_ = instant::max();
}

std::chrono::milliseconds push_progress::before_repeat() const {
  return std::clamp<std::chrono::milliseconds>(due_ * a_node_needs, first_repeat, longest_repeat);
}

double push_progress::ms_since_begin(instant now) const {
  return std::chrono::duration<double, std::milli>(now - begun_).count();
}

push_progress::counts push_progress::count(const membership& members, instant now) const {
  counts result;
  for (const auto& [name, one] : nodes_) {
    const bool is_live = members.is_live(name, now);
    if (is_live) ++result.live;
    if (is_live && one.is_due) ++result.due;
    if (!is_live) continue;
    if (one.state == node_outcome::ready || one.state == node_outcome::active) ++result.ready;
    if (one.state == node_outcome::active) ++result.active;
    if (one.state == node_outcome::refused) ++result.refused;
  }
  return result;
}

bool push_progress::is_open(const std::string& name, const node& one, const membership& members,
                            instant now) const {
  return one.is_due && members.is_live(name, now) && !(is_value_ && pace_.is_behind(name));
}

bool push_progress::waits_for_somebody(const membership& members, instant now) {
  const auto is_open = [&](const auto& entry) {
    return this->is_open(entry.first, entry.second, members, now);
  };
  // Once around, from the one that was waited for last.
  const auto last = nodes_.lower_bound(waited_for_);
  auto found = std::find_if(last, nodes_.end(), is_open);
  if (found == nodes_.end()) found = std::find_if(nodes_.begin(), last, is_open);
  if (found == nodes_.end() || (found == last && !is_open(*found))) return false;
  waited_for_ = found->first;
  return true;
}

bool push_progress::leaves_rest_behind(const membership& members, instant now) {
  if (!is_value_ || now < look_again_) return false;
  // Not called when it should have been: this process was not run, and what came meanwhile may not
  // have been read yet.
  if (now > look_again_ + ack_pace::least / 2) {
    progress_at_ = now;
    look_again_ = now + ack_pace::least;
    return false;
  }
  std::chrono::nanoseconds patience = ack_pace::least;
  std::vector<const std::string*> late;
  for (const auto& [name, one] : nodes_) {
    if (!is_open(name, one, members, now)) continue;
    late.push_back(&name);
    patience = std::max(patience, pace_.patience(name));
  }
  // Many that are late at once have a reason in common, which need not be theirs; when most are, it
  // is everybody's.
  if (late.size() > answered_) {
    look_again_ = instant::max();
    return false;
  }
  patience = std::min<std::chrono::nanoseconds>(patience * late.size(), ack_pace::unknown);
  look_again_ = progress_at_ + patience;
  if (now < look_again_) return false;
  for (const std::string* name : late) pace_.left_behind(*name, progress_at_);
  return true;
}

std::string push_progress::first_refusal() const {
  for (const auto& [name, one] : nodes_) {
    if (one.state == node_outcome::refused) return name + ": " + one.reason;
  }
  return {};
}

/// The share whose live nodes are closest in number to what was asked for: a hash of few names may
/// have none of them below a percentage, or all. One at least; and not all, if their hashes differ.
selector push_progress::canaries(const membership& members, instant now) const {
  selector result = to_;
  // The same salt as the push's own share: a part of it.
  if (to_.percent == 100) result.salt = text(id_);
  std::vector<unsigned> first_percent;  // of each node: the least share that it is in
  for (const membership::node* one : members.live(to_, now)) {
    first_percent.push_back(result.least_percent(one->report.name));
  }
  std::sort(first_percent.begin(), first_percent.end());
  const std::size_t all = first_percent.size();
  const std::size_t wanted = std::clamp<std::size_t>((all * policy_.canary_percent + 50) / 100, 1,
                                                     std::max<std::size_t>(all, 2) - 1);
  result.percent = std::max(1u, to_.percent * policy_.canary_percent / 100);
  std::size_t off = std::numeric_limits<std::size_t>::max();
  for (std::size_t i = 0; i < all; ++i) {
    // With those of the same percentage.
    const auto count = static_cast<std::size_t>(
        std::upper_bound(first_percent.begin(), first_percent.end(), first_percent[i]) -
        first_percent.begin());
    const std::size_t distance = count > wanted ? count - wanted : wanted - count;
    if (distance >= off) continue;
    off = distance;
    result.percent = first_percent[i];
  }
  return result;
}

push_progress::decision push_progress::decide(const membership& members, instant now) {
  if (is_decided_ || step_ == step::done) return {};
  decision result;
  switch (step_) {
    case step::preparing:
      result = decide_prepare(members, now);
      break;
    case step::canary:
    case step::watching:
      result = decide_canary(members, now);
      break;
    case step::activating:
    case step::applying:
      if (now >= step_ends_ || !waits_for_somebody(members, now) ||
          leaves_rest_behind(members, now)) {
        result.what = verdict::done;
      }
      break;
    case step::aborting:
      result.what = verdict::done;
      break;
    case step::done:
      break;
  }
  if (result.what == verdict::done) step_ = step::done;
  is_decided_ = result.what != verdict::wait && result.what != verdict::done;
  return result;
}

push_progress::decision push_progress::decide_prepare(const membership& members, instant now) {
  const bool needs_all = policy_.require_percent >= 100;
  if (needs_all && !has_refusal_ && now < step_ends_ && waits_for_somebody(members, now)) return {};
  const counts c = count(members, now);
  const std::size_t share = std::clamp(policy_.require_percent, 1u, 100u);
  const std::size_t answering = c.live;
  const std::size_t needed = (answering * share + 99) / 100;
  const bool is_over = now >= step_ends_;
  const bool is_nobody_left = answering == 0 && !nodes_.empty();
  if (c.refused != 0 && answering < needed + c.refused) {
    abort_error_ = "check_failed";
    return {verdict::abort, first_refusal(), {}};
  }
  if (c.ready >= needed && !is_nobody_left) {
    if (policy_.canary_percent == 0 || policy_.canary_percent >= 100) {
      return {verdict::activate_all, {}, to_};
    }
    selector some = canaries(members, now);
    if (some == to_) {
      abort_error_ = "canary_failed";
      return {verdict::abort,
              "no smaller share of " + to_.text() + " has a node: push without --canary, or to more",
              {}};
    }
    return {verdict::activate_canary, {}, std::move(some)};
  }
  if (!is_over) return {};
  std::string late;
  for (const auto& [name, one] : nodes_) {
    if (one.state != node_outcome::waiting) continue;
    if (!late.empty()) late += ", ";
    late += name;
  }
  abort_error_ = "timeout";
  return {verdict::abort,
          "not ready within " + std::to_string(policy_.prepare_deadline.count()) + " ms: " + late,
          {}};
}

push_progress::decision push_progress::decide_canary(const membership& members, instant now) {
  const counts c = count(members, now);
  for (const auto& [name, one] : nodes_) {
    if (one.state != node_outcome::refused || !one.is_due) continue;
    abort_error_ = "check_failed";
    return {verdict::abort, "canary " + name + ": " + one.reason, {}};
  }
  if (gate_) {
    if (std::string why = gate_->shut(); !why.empty()) {
      abort_error_ = "canary_failed";
      return {verdict::abort, std::move(why), {}};
    }
  }
  if (step_ == step::canary) {
    if (c.due == 0) {
      step_ = step::watching;
      step_ends_ = now + policy_.canary_watch;
      auto gate = canary_gate::parse(policy_.stop_if);
      if (gate) gate_ = *gate;
    } else if (now >= step_ends_) {
      abort_error_ = "timeout";
      return {verdict::abort, "the canaries did not activate in time", {}};
    }
  }
  if (step_ == step::watching && c.active == 0 && has_canaries_) {
    abort_error_ = "canary_failed";
    return {verdict::abort, "no canary is left", {}};
  }
  if (step_ == step::watching && now >= step_ends_) return {verdict::activate_all, {}, to_};
  return {};
}

void push_progress::activated(const change& by, const selector& to, const membership& members,
                              instant now) {
  is_decided_ = false;
  const bool is_canary = step_ == step::preparing && to != to_;
  step_ = is_canary ? step::canary : step::activating;
  step_ends_ = now + apply_deadline;
  ready_left_ = 0;
  for (auto& [name, one] : nodes_) {
    const membership::node* known = members.find(name);
    one.is_due = known != nullptr && to.matches(name, known->report.labels);
    if (is_canary && one.is_due) has_canaries_ = true;
    if (one.is_due && one.state == node_outcome::ready) ++ready_left_;
    if (one.is_due && one.state == node_outcome::refused) one.state = node_outcome::waiting;
  }
  begin(by, now);
  if (ready_left_ == 0) one_ready_less(now);
}

void push_progress::aborted(std::string reason) {
  is_decided_ = false;
  is_aborted_ = true;
  abort_reason_ = std::move(reason);
  step_ = step::aborting;
  for (auto& [name, one] : nodes_) one.is_due = false;
}

bool push_progress::acknowledge(const acknowledgement& ack, instant now) {
  // One of an earlier step is of another change.
  if (ack.seq != present_.seq || ack.push != id_ || step_ == step::done) return false;
  const auto found = nodes_.find(ack.node);
  if (found == nodes_.end() || !found->second.is_due) return false;
  node& one = found->second;
  if (one.state == node_outcome::refused && ack.step == ack_step::refused) return false;
  const bool was_ready = one.state == node_outcome::ready;
  if (ack.step == ack_step::refused) {
    one.state = node_outcome::refused;
    one.reason = ack.reason;
    has_refusal_ = true;
    // Of a canary decide() has to see it still.
    if (step_ != step::canary) {
      one.is_due = false;
      --due_;
    }
    if (was_ready) one_ready_less(now);
    return true;
  }
  const ack_step expected = step_ == step::preparing  ? ack_step::ready
                            : step_ == step::applying ? ack_step::applied
                                                      : ack_step::active;
  if (ack.step != expected) return false;
  one.is_due = false;
  one.reason.clear();
  ++answered_;
  --due_;
  // While others answer, those that have not are no later than the machines are busy: to repeat it to
  // hundreds of them would keep these busy for longer.
  const instant then = std::min(now + before_repeat(), repeat_by_);
  repeat_at_ = has_repeated_ ? std::max(repeat_at_, then) : then;
  if (is_value_) {
    // What comes together was late together.
    if (now != progress_at_) pause_began_ = std::exchange(progress_at_, now);
    pace_.acknowledged(ack.node, now - pause_began_);
    look_again_ = now + ack_pace::least;
  }
  if (step_ == step::preparing) {
    one.state = node_outcome::ready;
    one.prepared_ms = ms_since_begin(now);
  } else {
    one.state = node_outcome::active;
    one.active_ms = ms_since_begin(now);
    if (was_ready) one_ready_less(now);
  }
  return true;
}

/// Who was content with a share of them does not wait long for those that were not ready.
void push_progress::one_ready_less(instant now) {
  if (ready_left_ > 0) --ready_left_;
  if (ready_left_ != 0 || step_ != step::activating || policy_.require_percent >= 100) return;
  step_ends_ = std::min(step_ends_, now + wait_for_late);
}

void push_progress::heard(const node_report& report, instant now) {
  if (!gate_ || step_ != step::watching || now >= step_ends_) return;
  const auto found = nodes_.find(report.name);
  if (found == nodes_.end() || found->second.state != node_outcome::active) return;
  gate_->add(report.requests_per_second, report.errors_per_second);
}

std::vector<std::string> push_progress::to_repeat(instant now) {
  std::vector<std::string> result;
  if (step_ == step::done || step_ == step::aborting || now < repeat_at_) return result;
  has_repeated_ = true;
  repeat_after_ = std::min<std::chrono::milliseconds>(repeat_after_ * 2, longest_repeat);
  repeat_at_ = now + repeat_after_;
  for (const auto& [name, one] : nodes_) {
    if (one.is_due) result.push_back(name);
  }
  return result;
}

instant push_progress::next_tick() const {
  if (step_ == step::done || step_ == step::aborting) return instant::max();
  return std::min({repeat_at_, step_ends_, look_again_});
}

progress push_progress::report(const membership& members, instant now) const {
  progress result;
  result.id = id_;
  result.done = step_ == step::done;
  result.release = release_;
  result.manifest = manifest_;
  bool is_whole = true;
  for (const auto& [name, one] : nodes_) {
    node_progress line{name, one.state, one.prepared_ms, one.active_ms, one.reason};
    const bool is_open = one.state == node_outcome::waiting || one.state == node_outcome::ready;
    if (is_open && result.done && !is_aborted_) {
      line.state = members.is_live(name, now) ? node_outcome::behind : node_outcome::unreachable;
    } else if (one.state == node_outcome::waiting && !members.is_live(name, now)) {
      line.state = node_outcome::unreachable;
    }
    const bool is_left_behind =
        is_value_ && line.state == node_outcome::behind && pace_.is_behind(name);
    if (line.state != node_outcome::active && !is_left_behind) is_whole = false;
    result.nodes.push_back(std::move(line));
  }
  for (const std::string& name : absent_) {
    node_progress line;
    line.name = name;
    // One that has come back catches up.
    line.state = members.is_live(name, now) ? node_outcome::behind : node_outcome::unreachable;
    line.reason = "was not heard when this began";
    result.nodes.push_back(std::move(line));
  }
  if (is_aborted_) {
    result.state = "aborted";
    result.error = abort_error_;
    result.reason = abort_reason_;
  } else if (step_ == step::preparing) {
    result.state = "preparing";
  } else if (step_ == step::canary || step_ == step::watching) {
    result.state = "canary";
  } else if (!result.done) {
    result.state = is_two_step_ ? "activating" : "applying";
  } else if (!is_whole) {
    result.state = "partial";
  } else {
    result.state = is_two_step_ ? "active" : "applied";
  }
  return result;
}

}  // namespace troupe::cluster
