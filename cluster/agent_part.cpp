// SPDX-License-Identifier: Apache-2.0
//
// Which part an agent takes: it leads, follows or takes over, as the history says, or etcd.
#include "cluster/agent_core.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {

using namespace std::chrono_literals;

tl::expected<void, refusal> agent_core::lead(std::vector<signed_order> first, instant now) {
  controller::options how;
  how.name = how_.name;
  if (keys_.has_keys) how.key = keys_.signing;
  how.root = keys_.root;
  how.wall_clock = wall_now;
  how.log = how_.log;
  how.denied_links = [this] {
    return (zap_ ? zap_->denied() : 0) + (lower_ ? lower_->count().denied : 0);
  };
  how.outcomes = known_outcomes();
  how.keep_outcome = [this](const progress& outcome) {
    if (auto kept = log_->keep_outcome(encode(message(outcome))); !kept) {
      say(log_level::warn, "cluster: how an order went was not kept: " + kept.error().reason);
    }
  };
  if (seat_) {
    how.has_heirs = true;
    how.no_promotion =
        "etcd says who leads: stop the controller that does, " + how_.name +
        ", and another leads within a second";
  }
  auto made = std::make_unique<controller>(
      std::move(how), seat_ ? seat_->log() : static_cast<change_log&>(*log_), blobs_, local_);
  // Its first words are for this node too.
  local_.leads(true);
  if (auto done = made->start(now, std::move(first)); !done) {
    local_.leads(false);
    return done;
  }
  controller_ = std::move(made);
  relay_.reset();
  if (upper_) loop_.remove(*upper_);
  upper_.reset();
  if (enrolment_) loop_.remove(*enrolment_);
  enrolment_.reset();
  upper_addresses_.clear();
  if (!calls_) {
    calls_ = std::make_unique<member_calls>(
        *context_, keys_.has_keys ? std::optional(keys_.links) : std::nullopt);
    loop_.add(*calls_);
  }
  link_.lead_to([this](const message& what) { local_.say(what); }, nullptr);
  refresh_allowed();
  say(log_level::notice,
      "cluster: this node leads, epoch " + std::to_string(controller_->state().at().epoch));
  follower_->on_link(false, now);
  follower_->on_link(true, now);
  on_subscribed(local_.own(), std::string(topic_node_prefix) + how_.name, now);
  requests_.ask_again();
  return {};
}

void agent_core::follow(instant now) {
  if (controller_) {
    moved_ = true;
    controller_.reset();
    follower_->on_link(false, now);
  }
  local_.leads(false);
  if (calls_) loop_.remove(*calls_);
  calls_.reset();
  if (lower_ && !relay_) {
    relay_ = std::make_unique<relay>(relay::options{how_.name, how_.log}, *follower_, *log_, blobs_,
                                     local_, link_);
  }
  refresh_allowed();
  link_.lead_to(
      [this](const message& what) {
        if (upper_) upper_->send(what);
      },
      [this] {
        if (upper_) upper_->connect_anew();
      },
      [this] { return upper_ ? upper_->server_key() : std::string_view(); });
  upper_socket::options how;
  how.node = how_.name;
  if (keys_.has_keys) how.keys = keys_.links;
  how.log = how_.log;
  how.is_told_what_is_ready = true;
  upper_ = std::make_unique<upper_socket>(
      *context_, std::move(how),
      upper_socket::handlers{.on_link =
                                 [this](bool up, instant at) {
                                   follower_->on_link(up, at, upper_->took_to_link());
                                   if (up) link_up(at);
                                 },
                             .on_announced =
                                 [this](std::string_view topic, message what, instant at) {
                                   if (relay_) relay_->on_announced(topic, what, at);
                                   on_announced(topic, std::move(what), at);
                                 },
                             .on_message =
                                 [this](message what, instant at) {
                                   if (relay_ && relay_->on_answer(what, at)) return;
                                   on_answer(std::move(what), at);
                                 }});
  for (const std::string& topic : own_topics_) upper_->subscribe(topic);
  loop_.add(*upper_);
  upper_addresses_.clear();
  refresh_addresses(now);
}

void agent_core::take_over(const signed_order& promotion, own_requests::on_progress then,
                           instant now) {
  const auto refuse = [&](const std::string& error, const std::string& reason) {
    progress no;
    if (const auto decoded = order::decode(promotion.bytes)) no.id = decoded->id;
    no.done = true;
    no.error = error;
    no.reason = reason;
    then(no);
  };
  if (!lower_) return refuse("failed", "this node binds no address, so nobody could follow it");
  if (takeover_) return refuse("conflict", "this node is taking over already");
  if (auto fine = follower_->state().judge(promotion, wall_now()); !fine) {
    return refuse(fine.error().errc == refusal_errc::denied ? "denied" : "conflict",
                  fine.error().reason);
  }
  say(log_level::notice, "cluster: no controller is heard; this node takes over");
  promotion_ = promotion;
  promoted_ = std::move(then);
  if (upper_) loop_.remove(*upper_);
  upper_.reset();
  follower_->on_link(false, now);
  takeover_ =
      std::make_unique<takeover>(takeover::options{.log = how_.log}, *follower_, local_, now);
  link_.lead_to(
      [this](const message& what) {
        if (takeover_) takeover_->link().send(what);
      },
      nullptr);
}

void agent_core::end_takeover(instant now) {
  const takeover::outcome found = *takeover_->done();
  takeover_.reset();
  const auto done = lead({promotion_}, now);
  progress result;
  if (const auto decoded = order::decode(promotion_.bytes)) result.id = decoded->id;
  result.done = true;
  if (done) {
    result.state = "applied";
    for (const std::string& name : found.reached) {
      result.nodes.push_back({.name = name, .state = node_outcome::active});
    }
    for (const std::string& name : found.unreachable) {
      result.nodes.push_back({.name = name,
                              .state = node_outcome::unreachable,
                              .reason = "has more of the history, and did not answer"});
    }
  } else {
    result.error = "failed";
    result.reason = done.error().reason;
    follow(now);
  }
  if (promoted_) std::exchange(promoted_, nullptr)(result);
}

/// What etcd says of who leads.
void agent_core::change_part_by_seat(instant now) {
  seat_->tick(*log_, now);
  if (controller_ && (controller_->has_lost() || !seat_->leads())) {
    local_.pump(now);
    say(log_level::notice, "cluster: this node leads no more");
    follow(now);
    seat_->leave(now);
  } else if (!controller_ && seat_->leads()) {
    if (auto done = lead({}, now); !done) {
      say(log_level::error, "cluster: this node should lead and cannot: " + done.error().reason);
      seat_->leave(now);
    }
  }
  const std::string leader = seat_->leader_address();
  if (leader == seat_leader_) return;
  seat_leader_ = leader;
  if (controller_ || leader.empty() || leader == address_) return;
  // To that one at once, and not in turn.
  if (upper_) loop_.remove(*upper_);
  upper_.reset();
  follower_->on_link(false, now);
  follow(now);
}

/// What the history says of who leads.
void agent_core::change_part(instant now) {
  if (seat_) return change_part_by_seat(now);
  if (takeover_) {
    takeover_->tick(now);
    if (takeover_->done()) end_takeover(now);
    return;
  }
  if (controller_) {
    if (!controller_->has_lost()) return;
    // What it announced last is for this node too.
    local_.pump(now);
    // Its own history may still say that it leads: it was shown a promotion that is not in there.
    const bool is_told = follower_->state().controller() != how_.name;
    lose_epoch(is_told ? 0 : controller_->state().at().epoch);
    say(log_level::notice, "cluster: this node leads no more");
    follow(now);
    return;
  }
  const cluster_state& state = follower_->state();
  if (state.controller() != how_.name || state.at().epoch <= lost_epoch_ || !lower_) return;
  if (auto done = lead({}, now); !done) {
    say(log_level::error, "cluster: this node should lead and cannot: " + done.error().reason);
  }
}

/// In which it led, until it was shown the promotion of another. Kept on the disk: it would else
/// lead again after a restart, and acknowledge what the other's history will not have.
void agent_core::lose_epoch(std::uint64_t epoch) {
  if (lost_epoch_ == epoch) return;
  lost_epoch_ = epoch;
  if (auto kept = log_->keep_lost_epoch(epoch); !kept) {
    say(log_level::error, "cluster: that this node leads no more was not kept: " +
                              kept.error().reason);
  }
}

std::vector<progress> agent_core::known_outcomes() const {
  std::vector<progress> result;
  const auto kept = log_->outcomes();
  if (!kept) {
    say(log_level::warn, "cluster: how orders went is not known: " + kept.error().reason);
    return result;
  }
  for (const std::string& bytes : *kept) {
    auto one = decode_message(bytes);
    // A newer troupe may have written it.
    if (auto* outcome = one ? std::get_if<progress>(&*one) : nullptr) result.push_back(*outcome);
  }
  return result;
}

}  // namespace troupe::cluster
