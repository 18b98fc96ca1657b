// SPDX-License-Identifier: Apache-2.0
#include "cluster/agent_core.hpp"

#include "cluster/status_text.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {

namespace {

using namespace std::chrono_literals;

constexpr auto house_every = 1s;
constexpr auto show_every = 50ms;  // copies of the state, while changes rush in

bool is_app_topic(std::string_view topic) {
  return topic.starts_with(topic_app_prefix);
}

/// The node that an order promotes; empty: it is another order.
std::string promoted_by(const signed_order& what) {
  const auto decoded = order::decode(what.bytes);
  const auto* promotion = decoded ? std::get_if<promote_order>(&decoded->body) : nullptr;
  return promotion != nullptr ? promotion->node : std::string();
}

}  // namespace

agent_core::agent_core(agent::options how, agent_keys keys, blob_source& blobs, host& runtime,
                       zmq_loop& loop)
    : how_(std::move(how)),
      keys_(std::move(keys)),
      blobs_(blobs),
      runtime_(runtime),
      loop_(loop),
      link_([this](message& sent) { describe(sent); }),
      local_(keys_.has_keys ? keys_.links.public_key : "~" + how_.name,
             {.to_controller =
                  [this](message what, instant now) {
                    if (controller_) controller_->on_message(local_.own(), std::move(what), now);
                  },
              .announced = [this](std::string_view topic, message what,
                                  instant now) { on_announced(topic, std::move(what), now); },
              .to_node = [this](message what, instant now) { on_answer(std::move(what), now); },
              .before_cut =
                  [this](const peer_id& who) {
                    zap::allow_list rest = zap_->allowed();
                    rest.erase(who);
                    zap_->allow(std::move(rest));
                  }}),
      requests_({}, link_),
      shown_(std::make_shared<const cluster_state>()) {}

agent_core::~agent_core() = default;

wall_time agent_core::wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

void agent_core::end() {
  requests_.end("this node stops");
  if (promoted_) {
    progress no;
    no.done = true;
    no.error = "no_controller";
    no.reason = "this node stops";
    std::exchange(promoted_, nullptr)(no);
  }
  if (!follower_) return;
  shown_at_ = {};  // Who looks at it from now on sees how it ended.
  show(std::chrono::steady_clock::now());
}

// ---- what comes

void agent_core::on_request(const peer_id& from, message what, instant now) {
  now_ = now;
  if (const auto* ordered = std::get_if<cluster::submit>(&what);
      ordered != nullptr && !controller_ && !seat_ && promoted_by(ordered->what) == how_.name &&
      !follower_->is_current(now)) {
    take_over(
        ordered->what,
        [this, from, ask = ordered->ask](const progress& how_it_goes) {
          progress answer = how_it_goes;
          answer.ask = ask;
          if (lower_) lower_->send(from, answer);
        },
        now);
    return;
  }
  if (takeover_) takeover_->on_message(from, what, now);
  if (controller_) {
    controller_->on_message(from, std::move(what), now);
  } else if (relay_) {
    relay_->on_message(from, std::move(what), now);
  }
}

void agent_core::on_subscribed(const peer_id& who, std::string_view topic, instant now) {
  if (controller_) controller_->on_subscribed(who, topic, now);
  if (!relay_) return;
  relay_->on_subscribed(who, topic, now);
  if (upper_ && is_app_topic(topic)) upper_->subscribe(std::string(topic));
}

void agent_core::on_announced(std::string_view topic, message what, instant now) {
  // A relay hears topics that only nodes below it want.
  if (is_app_topic(topic) && !own_topics_.contains(topic)) return;
  follower_->on_announced(topic, std::move(what), now);
}

void agent_core::on_answer(message what, instant now) {
  if (requests_.on_message(what, now)) return;
  follower_->on_message(std::move(what), now);
}

/// The follower knows what it was when it was made; what the node is now, this does.
void agent_core::describe(message& sent) const {
  const auto put = [this](node_report& one) {
    if (one.name == how_.name) {
      one.role = controller_ ? "controller" : how_.is_relay ? "relay" : "node";
    }
  };
  if (auto* greeting = std::get_if<hello>(&sent)) put(greeting->who);
  if (auto* report = std::get_if<beat>(&sent)) {
    std::for_each(report->nodes.begin(), report->nodes.end(), put);
  }
}

// ---- what this node's process wants

void agent_core::submit(const signed_order& what, own_requests::on_progress then) {
  if (!controller_ && !seat_ && promoted_by(what) == how_.name && !follower_->is_current(now_)) {
    take_over(what, std::move(then), now_);
    return;
  }
  requests_.submit(what, std::move(then), now_);
}

tl::expected<query_answer, refusal> agent_core::own_aside() const {
  const auto aside = log_->aside();
  if (!aside) return tl::unexpected(aside.error());
  query_answer result;
  result.head = newest().at();
  result.text = aside_text(*aside);
  return result;
}

void agent_core::publish(std::string topic, std::string payload) {
  link_.send(cluster::publish{{std::move(topic), how_.name, std::move(payload)}});
}

void agent_core::subscribe(const std::string& topic) {
  const std::string whole = std::string(topic_app_prefix) + topic;
  own_topics_.insert(whole);
  if (upper_) upper_->subscribe(whole);
}

void agent_core::unsubscribe(const std::string& topic) {
  const std::string whole = std::string(topic_app_prefix) + topic;
  own_topics_.erase(whole);
  // A relay's nodes below may want it; what is too much is not handed on.
  if (upper_ && !relay_) upper_->unsubscribe(whole);
}

// ---- from turn to turn

void agent_core::pump(instant now) {
  now_ = now;
  local_.pump(now);
  follower_->tick(now);
  if (controller_) controller_->tick(now);
  if (relay_) relay_->tick(now);
  if (enrolment_ && enrolment_->is_done()) {
    loop_.remove(*enrolment_);
    enrolment_.reset();
    upper_addresses_ = addresses();
    if (upper_) upper_->addresses(upper_addresses_, now);
  }
  change_part(now);
  if (std::exchange(is_changed_, false)) {
    unshown_ = true;
    refresh_addresses(now);
  }
  if (newest().at() != allowed_at_) refresh_allowed();
  requests_.tick(now);
  show(now);
  if (now >= house_at_) keep_house(now);
}

instant agent_core::next_tick() const {
  if (local_.has_work()) return now_;
  instant first = std::min({follower_->next_tick(), requests_.next_tick(), house_at_});
  if (controller_) first = std::min(first, controller_->next_tick());
  if (relay_) first = std::min(first, relay_->next_tick());
  if (takeover_) first = std::min(first, takeover_->next_tick());
  return std::min(first, show_at_);
}

void agent_core::keep_house(instant now) {
  house_at_ = now + house_every;
  refresh_allowed();  // tokens end
  if (upper_ && !upper_->is_up()) refresh_addresses(now);
  tell_own_address(now);
  if (controller_) call_members(now);
}

const cluster_state& agent_core::newest() const {
  return controller_ ? controller_->state() : follower_->state();
}

// ---- what others see

void agent_core::show(instant now) {
  const bool is_current = follower_->is_current(now);
  const auto beacon = follower_->last_beacon();
  const bool has_news =
      unshown_ || now >= house_at_ || is_current != standing_.current || beacon != beacon_shown_;
  if (!has_news) return;
  if (now < shown_at_ + show_every && is_current == standing_.current) {
    show_at_ = shown_at_ + show_every;
    return;
  }
  show_at_ = instant::max();
  shown_at_ = now;
  agent::standing standing;
  standing.current = is_current;
  standing.at = follower_->state().at();
  standing.controller = std::string(follower_->state().controller());
  standing.problem = follower_->report().problem;
  if (standing.problem.empty() && enrolment_) standing.problem = enrolment_->problem();
  if (standing.problem.empty() && seat_) standing.problem = seat_->problem();
  if (standing.problem.empty() && upper_) standing.problem = upper_->problem();
  std::shared_ptr<const cluster_state> copy;
  if (std::exchange(unshown_, false)) {
    copy = std::make_shared<const cluster_state>(follower_->state());
  }
  const std::lock_guard lock(mutex_);
  standing_ = std::move(standing);
  beacon_shown_ = beacon;
  if (copy) shown_ = std::move(copy);
}

std::shared_ptr<const cluster_state> agent_core::state() const {
  const std::lock_guard lock(mutex_);
  return shown_;
}

agent::standing agent_core::stands() const {
  const std::lock_guard lock(mutex_);
  agent::standing result = standing_;
  if (beacon_shown_) {
    result.silent = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - *beacon_shown_);
  }
  return result;
}

}  // namespace troupe::cluster
