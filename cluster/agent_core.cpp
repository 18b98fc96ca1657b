// SPDX-License-Identifier: Apache-2.0
#include "cluster/agent_core.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {

namespace {

using namespace std::chrono_literals;

constexpr auto house_every = 1s;
constexpr auto show_every = 50ms;  // copies of the state, while changes rush in

wall_time wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

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

// ---- which part

tl::expected<void, refusal> agent_core::lead(std::vector<signed_order> first, instant now) {
  controller::options how;
  how.name = how_.name;
  if (keys_.has_keys) how.key = keys_.signing;
  how.root = keys_.root;
  how.wall_clock = wall_now;
  how.log = how_.log;
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

void agent_core::link_up(instant) {
  told_address_ = false;
  requests_.ask_again();
}

/// Members have to be that before they link with their own key.
bool agent_core::is_member() const {
  if (!keys_.has_keys) return true;
  const auto found = newest().members().find(how_.name);
  return found != newest().members().end() && found->second.curve == keys_.links.public_key;
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

void agent_core::refresh_allowed() {
  if (!zap_ || !keys_.has_keys) return;
  const cluster_state& state = newest();
  zap::allow_list allowed;
  for (const std::string& key : keys_.tools) allowed[key] = link_role::tools;
  const wall_time now = wall_now();
  for (const auto& [key, ends] : state.tokens()) {
    if (now < ends) allowed[key] = link_role::token;
  }
  for (const auto& [name, member] : state.members()) {
    if (!member.curve.empty()) allowed[member.curve] = link_role::member;
  }
  zap_->allow(std::move(allowed));
  allowed_at_ = state.at();
}

upper_address agent_core::with_key(const link_address& at) const {
  if (!keys_.has_keys) return {at, {}};
  for (const auto& [name, member] : newest().members()) {
    if (member.address == at.text()) return {at, member.curve};
  }
  return {at, keys_.server_at(at.text())};
}

/// Whom to link to, in this order.
std::vector<upper_address> agent_core::addresses() const {
  std::vector<std::string> texts;
  if (!seat_leader_.empty()) texts.push_back(seat_leader_);
  texts.insert(texts.end(), how_.join.begin(), how_.join.end());
  for (const auto& [address, key] : keys_.token_servers) texts.push_back(address);
  const cluster_state& state = newest();
  if (const auto leader = state.members().find(state.controller());
      leader != state.members().end() && !leader->second.address.empty()) {
    // A node of a relay stays there; one that binds and is none follows who leads.
    const bool is_first = moved_ || (lower_ && !how_.is_relay);
    const bool is_known = !seat_leader_.empty();  // etcd hears of it first
    texts.insert(is_first && !is_known ? texts.begin() : texts.end(), leader->second.address);
  }
  for (const auto& [name, member] : state.members()) {
    if (!member.address.empty()) texts.push_back(member.address);
  }
  std::vector<upper_address> result;
  for (const std::string& text : texts) {
    const auto at = link_address::parse(text);
    if (!at || text == address_) continue;
    const bool is_known = std::any_of(result.begin(), result.end(),
                                      [&](const upper_address& one) { return one.at == *at; });
    if (!is_known) result.push_back(with_key(*at));
  }
  return result;
}

void agent_core::refresh_addresses(instant now) {
  if (!upper_) return;
  auto those = addresses();
  if (enrolment_) enrolment_->addresses(those, now);
  if (!is_member() && !enrolment_) {
    const bool by_token = keys_.token.has_value();
    const auto pair = by_token       ? keys_.token
                      : keys_.folder ? std::optional(keys_.folder->tools())
                                     : std::nullopt;
    const bool may_lead = lower_ && (!by_token || keys_.token_may_lead) && !how_.is_relay;
    if (pair && keys_.membership(how_.name, address_, may_lead)) {
      enrolment_ = std::make_unique<enrolment>(
          *context_, *pair,
          [this, may_lead] { return *keys_.membership(how_.name, address_, may_lead); },
          by_token ? "the token is used up, has expired or is of another cluster; `troupe keys token` "
                     "makes a new one"
                   : "the keys in " + how_.key_folder + " are not those of its cluster",
          how_.log);
      loop_.add(*enrolment_);
      enrolment_->addresses(those, now);
    }
  }
  if (enrolment_ || those == upper_addresses_) return;
  const bool leader_changed = moved_ && !upper_addresses_.empty() && !those.empty() &&
                              those.front() != upper_addresses_.front();
  upper_addresses_ = those;
  upper_->addresses(std::move(those), now);
  if (leader_changed) upper_->connect_anew();
}

/// A member that binds elsewhere than the history says tells so, with its own key.
void agent_core::tell_own_address(instant now) {
  if (told_address_ || !lower_ || !follower_->is_current(now)) return;
  const auto found = newest().members().find(how_.name);
  const bool is_known = found != newest().members().end();
  if (is_known ? found->second.address == address_ : keys_.has_keys) return;
  told_address_ = true;
  member_order own;
  own.name = how_.name;
  own.address = address_;
  own.may_lead = is_known ? found->second.may_lead : !how_.is_relay;
  if (keys_.has_keys) {
    own.curve = keys_.links.public_key;
    own.signing = keys_.signing->id();
  }
  const order what = fresh_order(how_.name, own);
  requests_.submit(
      keys_.has_keys ? signed_order::make(what, *keys_.signing) : signed_order::make_unsigned(what),
      [this](const progress& how_it_goes) {
        if (how_it_goes.done && !how_it_goes.error.empty()) {
          say(log_level::warn, "cluster: this node's address was not taken: " + how_it_goes.reason);
        }
      },
      now);
}

void agent_core::call_members(instant now) {
  const cluster_state& state = controller_->state();
  if (state.at().epoch < 2) return;  // nobody can have led before
  const auto heard = controller_->nodes(now);
  const wall_time wall = wall_now();
  for (const auto& [name, member] : state.members()) {
    if (name == how_.name || member.address.empty()) continue;
    const bool is_here = std::any_of(heard.begin(), heard.end(), [&, wanted = std::string_view(name)](const node_report& one) {
      return one.name == wanted && wall - one.heard < 5s;
    });
    const auto at = link_address::parse(member.address);
    if (!is_here && at) {
      calls_->call({*at, keys_.has_keys ? member.curve : std::string()}, controller_->proof(), now);
    }
  }
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
