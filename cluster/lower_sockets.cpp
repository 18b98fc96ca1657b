// SPDX-License-Identifier: Apache-2.0
#include "cluster/lower_sockets.hpp"

#include "cluster/topic_frame.hpp"

#include "cluster/address_filter.hpp"
#include "cluster/freed_memory.hpp"

#include <zmq.h>

#include <algorithm>
#include <utility>

#include <sys/socket.h>

namespace troupe::cluster {

namespace {

constexpr int zap_enforce_domain = 93;  // hidden behind libzmq's draft macro, taken by the library
constexpr long long max_request = 1024 * 1024;
constexpr long long max_subscription = 64 * 1024;
constexpr int watched_events =
    ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED;
constexpr std::size_t requests_a_turn = 256;

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  for (const char c : bytes) {
    result += digits[static_cast<unsigned char>(c) >> 4];
    result += digits[static_cast<unsigned char>(c) & 15];
  }
  return result;
}

}  // namespace

lower_sockets::lower_sockets(const zmq_context& context, const class zap& zap, options how,
                             handlers then)
    : context_(context),
      zap_(zap),
      how_(std::move(how)),
      then_(std::move(then)),
      gate_(with_ears(how_.limits)),
      strangers_(how_.log, log_level::warn) {
  if (!how_.limits.cut) {
    how_.limits.cut = [](int descriptor) { shutdown(descriptor, SHUT_RDWR); };
  }
}

lower_sockets::~lower_sockets() = default;

tl::expected<zmq_socket, refusal> lower_sockets::make(int type, const char* domain,
                                                      long long max_message, int send_queue) {
  auto socket = zmq_socket::open(context_, type);
  if (!socket) return socket;
  tl::expected<void, refusal> done;
  const auto set = [&](int option, auto value) {
    if (done) done = socket->set(option, value);
  };
  const auto ms = [](std::chrono::milliseconds time) { return static_cast<int>(time.count()); };
  set(ZMQ_ZAP_DOMAIN, std::string_view(domain));
  set(zap_enforce_domain, 1);
  if (how_.keys) {
    set(ZMQ_CURVE_SERVER, 1);
    set(ZMQ_CURVE_SECRETKEY, std::string_view(how_.keys->secret_key));
  }
  set(ZMQ_BACKLOG, 4'096);
  // Only here: at the side that connects, a full queue at the time-out would abort the process.
  set(ZMQ_HEARTBEAT_IVL, ms(how_.heartbeat));
  set(ZMQ_HEARTBEAT_TIMEOUT, ms(how_.heartbeat_timeout));
  set(ZMQ_HANDSHAKE_IVL, ms(how_.handshake));
  set(ZMQ_SNDHWM, send_queue);
  set(ZMQ_TCP_KEEPALIVE, 1);
  set(ZMQ_TCP_KEEPALIVE_IDLE, 30);
  set(ZMQ_TCP_KEEPALIVE_INTVL, 10);
  set(ZMQ_TCP_KEEPALIVE_CNT, 3);
  set(ZMQ_IPV6, 1);
  if (done) done = socket->set_wide(ZMQ_MAXMSGSIZE, max_message);
  if (type == ZMQ_XPUB) {
    set(ZMQ_XPUB_VERBOSE, 1);  // each subscription is to be answered
    set(ZMQ_XPUB_NODROP, 0);   // a stuck subscriber must not stop the others
  } else {
    set(ZMQ_RCVHWM, 1'000);
    set(ZMQ_ROUTER_MANDATORY, 1);
  }
  if (!done) return tl::unexpected(done.error());
  return socket;
}

tl::expected<std::unique_ptr<lower_sockets>, refusal> lower_sockets::open(
    const zmq_context& context, const class zap& zap, options how, handlers then) {
  keep_freed_memory();
  constexpr int attempts = 256;  // for two free ports that follow each other, on a busy machine
  const bool any_port = how.listen.port == 0;
  for (int attempt = 1;; ++attempt) {
    std::unique_ptr<lower_sockets> made(new lower_sockets(context, zap, how, then));
    auto requests = made->make(ZMQ_ROUTER, zap::requests_domain, max_request, 1'000);
    if (!requests) return tl::unexpected(requests.error());
    auto monitor = zmq_monitor::open(context, *requests, watched_events);
    if (!monitor) return tl::unexpected(monitor.error());
    made->requests_ = std::move(*requests);
    made->requests_monitor_ = std::move(*monitor);
    link_address& at = made->how_.listen;
    if (auto done = made->requests_.bind(at.endpoint()); !done) {
      return tl::unexpected(
          refusal{refusal_errc::io, "listen on " + at.text() + ": " + done.error().reason, {}});
    }
    if (any_port) {
      const std::string bound = made->requests_.last_endpoint();
      auto parsed = link_address::parse(std::string_view(bound).substr(sizeof "tcp://" - 1));
      if (parsed) at.port = parsed->port;
    }
    auto done = made->bind_announcements(static_cast<std::uint16_t>(at.port + 1));
    if (done) return made;
    if (any_port && attempt < attempts) continue;
    return tl::unexpected(refusal{
        refusal_errc::io,
        "listen on the port after " + at.text() + ", for announcements: " + done.error().reason,
        {}});
  }
}

tl::expected<void, refusal> lower_sockets::bind_announcements(std::uint16_t port) {
  auto socket = make(ZMQ_XPUB, zap::announcements_domain, max_subscription, 100);
  if (!socket) return tl::unexpected(socket.error());
  auto monitor = zmq_monitor::open(context_, *socket, watched_events);
  if (!monitor) return tl::unexpected(monitor.error());
  link_address at = how_.listen;
  at.port = port;
  if (auto done = socket->bind(at.endpoint()); !done) return done;
  announcements_ = std::move(*socket);
  announcements_monitor_ = std::move(*monitor);
  return {};
}

gate::options lower_sockets::with_ears(gate::options limits) {
  limits.hear_nothing_from = [this](const auto& addresses) { hear_nothing_from(addresses); };
  return limits;
}

void lower_sockets::hear_nothing_from(const std::vector<std::string>& addresses) {
  unheard_ = addresses;
  for (const int listener : {requests_listener_, announcements_listener_}) {
    if (listener < 0 || cluster::hear_nothing_from(listener, addresses)) continue;
    cluster::hear_nothing_from(listener, {});  // Rather all, whom the gate cuts, than some for good.
  }
}

void lower_sockets::close_announcements() {
  announcements_listener_ = -1;
  announcements_monitor_ = zmq_monitor();
  announcements_ = zmq_socket();
  for (auto at = by_descriptor_.begin(); at != by_descriptor_.end();) {
    if (!at->second.announces) {
      ++at;
      continue;
    }
    gate_.on_closed(at->first, now_);
    if (const auto its = peers_.find(at->second.who); its != peers_.end()) {
      its->second.announcements.erase(at->first);
    }
    at = by_descriptor_.erase(at);
  }
  cutting_.clear();
}

void lower_sockets::bind_announcements_later(instant now) {
  bind_at_.reset();
  if (bind_announcements(static_cast<std::uint16_t>(how_.listen.port + 1))) {
    ++count_.bound_anew;
    return;
  }
  bind_at_ = now + std::chrono::milliseconds(5);  // the I/O thread has not closed the old one yet
}

// ---- what we say

void lower_sockets::announce(std::string_view topic, const message& what) {
  if (!announcements_.is_open() || topic.find(topic_end) != std::string_view::npos) {
    ++count_.lost;
    return;
  }
  if (announcements_.send(frame_of(topic, encode(what))) != zmq_socket::outcome::sent) {
    ++count_.lost;
  }
}

bool lower_sockets::send_by(const std::string& route, std::string_view bytes) {
  const auto result = requests_.send(route, bytes);
  if (result != zmq_socket::outcome::sent) ++count_.lost;
  return result != zmq_socket::outcome::unreachable;
}

void lower_sockets::send_bytes(const peer_id& to, std::string_view bytes) {
  if (present_peer_ != nullptr && *present_peer_ == to) {
    (void)send_by(*present_route_, bytes);
    return;
  }
  const auto found = peers_.find(to);
  if (found == peers_.end()) {
    ++count_.lost;
    return;
  }
  (void)send_by(found->second.route, bytes);
}

void lower_sockets::send(const peer_id& to, const message& what) {
  send_bytes(to, encode(what));
}

void lower_sockets::send_all(const std::vector<peer_id>& to, const message& what) {
  const std::string bytes = encode(what);
  for (const peer_id& one : to) send_bytes(one, bytes);
}

void lower_sockets::refuse(const std::string& route, std::uint64_t ask, std::string_view error,
                           const std::string& reason) {
  if (ask == 0) return;
  (void)send_by(route, encode(refused{ask, std::string(error), reason}));
}

void lower_sockets::cut(const peer_id& who) {
  const auto found = peers_.find(who);
  if (found == peers_.end()) return;
  for (const int descriptor : found->second.requests) how_.limits.cut(descriptor);
  for (const int descriptor : found->second.announcements) {
    how_.limits.cut(descriptor);
    cutting_.emplace(descriptor, now_ + how_.cut_within);
  }
}

// ---- what they say

peer_id lower_sockets::peer_of(const zmq_received& got, link_role role,
                               const std::string& route) const {
  if (!how_.keys) return "~" + hex(route);
  return role == link_role::member ? got.user_id : got.user_id + "/" + hex(route);
}

bool lower_sockets::may(link_role role, const message& what) const {
  if (role == link_role::member) return true;
  if (std::holds_alternative<submit>(what)) return role != link_role::none;
  if (role != link_role::tools) return false;
  return std::holds_alternative<query>(what) || std::holds_alternative<missing_blobs>(what) ||
         std::holds_alternative<put_blob>(what) || std::holds_alternative<fetch_changes>(what) ||
         std::holds_alternative<fetch_snapshot>(what) || std::holds_alternative<fetch_blob>(what) ||
         std::holds_alternative<fetch_blobs>(what);
}

void lower_sockets::on_request(zmq_received& got, instant now) {
  if (got.frames.size() < 2) {
    ++count_.garbage;
    strangers_.line("a request of " + std::to_string(got.frames.size()) + " frames", now);
    return;
  }
  const std::string& route = got.frames[0];
  const std::string& bytes = got.frames[1];
  // Asked again with each message: the key may have been revoked since its link opened.
  const link_role role =
      how_.keys && got.user_id.empty() ? link_role::none : zap_.role_of(got.user_id);
  if (role == link_role::none) {
    ++count_.denied;
    strangers_.line("a request without an allowed key denied", now);
    refuse(route, ask_in(bytes), "denied", "your key is not allowed (any more)");
    // Soon: what was said has to go out before.
    if (got.descriptor >= 0) closing_.emplace(got.descriptor, now + std::chrono::milliseconds(100));
    return;
  }
  const peer_id who = peer_of(got, role, route);
  if (got.frames.size() > 2) {
    ++count_.garbage;
    strangers_.line("a request of too many frames from " + printable(who), now);
    refuse(route, ask_in(bytes), "malformed", "one frame is a message");
    return;
  }
  auto what = decode_message(bytes);
  if (!what) {
    ++count_.garbage;
    strangers_.line("a request from " + printable(who) + " refused: " + what.error().reason, now);
    refuse(route, ask_in(bytes),
           what.error().errc == refusal_errc::unsupported ? "unsupported" : "malformed",
           what.error().reason);
    return;
  }
  if (!may(role, *what)) {
    ++count_.denied;
    const std::string reason = std::string(name_of(*what)) + " is not for a link with the key of " +
                               (role == link_role::token ? "a join token" : "tools");
    strangers_.line("a request from " + printable(who) + " denied: " + reason, now);
    refuse(route, ask_of(*what), "denied", reason);
    return;
  }
  ++count_.messages;
  peer& its = peers_[who];
  if (got.descriptor >= 0) {
    gate_.proven(got.descriptor, now);
    its.requests.insert(got.descriptor);
    owner& its_link = by_descriptor_[got.descriptor];
    if (its_link.announces || its_link.who != who || its_link.route != route) {
      its_link = {who, false, route};
    }
  }
  if (std::holds_alternative<hello>(*what)) {
    its.route = route;
    its.said_hello = true;
  } else if (!its.said_hello) {
    its.route = route;
  }
  present_route_ = &route;
  present_peer_ = &who;
  then_.on_message(who, role, std::move(*what), now);
  present_route_ = nullptr;
  present_peer_ = nullptr;
}

void lower_sockets::on_subscription(const zmq_received& got, instant now) {
  if (got.frames.size() != 1 || got.frames[0].empty() || got.frames[0][0] > 1) {
    ++count_.garbage;
    strangers_.line("no subscription: " + printable(got.frames.empty() ? "" : got.frames[0]), now);
    return;
  }
  std::string_view topic = std::string_view(got.frames[0]).substr(1);
  if (!topic.empty() && topic.back() == topic_end) topic.remove_suffix(1);
  // What is announced to one topic would else be a message of the subscriber's making to another.
  if (topic.find(topic_end) != std::string_view::npos) {
    ++count_.garbage;
    strangers_.line("no subscription: " + printable(got.frames[0]), now);
    return;
  }
  if (got.frames[0][0] == 0) {
    if (then_.on_unsubscribed) then_.on_unsubscribed(topic, now);
    return;
  }
  const bool is_allowed =
      !how_.keys || (!got.user_id.empty() && zap_.role_of(got.user_id) == link_role::member);
  if (!is_allowed) {
    ++count_.denied;
    strangers_.line("a subscription without a node's key denied", now);
    if (got.descriptor >= 0) {
      how_.limits.cut(got.descriptor);
      cutting_.emplace(got.descriptor, now + how_.cut_within);
      by_descriptor_[got.descriptor] = {{}, true, {}};
    } else {
      close_announcements();
      bind_announcements_later(now);
    }
    return;
  }
  const peer_id who = how_.keys ? got.user_id : peer_id();
  if (got.descriptor >= 0) {
    gate_.proven(got.descriptor, now);
    if (how_.keys) peers_[who].announcements.insert(got.descriptor);
    by_descriptor_[got.descriptor] = {who, true, {}};
  }
  then_.on_subscribed(who, topic, now);
}

void lower_sockets::on_closed(int descriptor, instant now) {
  gate_.on_closed(descriptor, now);
  cutting_.erase(descriptor);
  closing_.erase(descriptor);
  const auto found = by_descriptor_.find(descriptor);
  if (found == by_descriptor_.end()) return;
  const owner was = std::move(found->second);
  by_descriptor_.erase(found);
  const auto its = peers_.find(was.who);
  if (its == peers_.end()) return;
  if (was.announces) {
    its->second.announcements.erase(descriptor);
  } else {
    its->second.requests.erase(descriptor);
    if (its->second.route == was.route && !its->second.requests.empty()) {
      its->second.route = by_descriptor_[*its->second.requests.begin()].route;
    }
    if (its->second.requests.empty() && then_.on_gone) then_.on_gone(was.who, now);
  }
  if (its->second.requests.empty() && its->second.announcements.empty()) peers_.erase(its);
}

void lower_sockets::watch(zmq_monitor& monitor, int& listener, instant now) {
  while (const auto event = monitor.next()) {
    switch (event->what) {
      case ZMQ_EVENT_LISTENING:
        listener = event->value;
        if (!unheard_.empty()) cluster::hear_nothing_from(listener, unheard_);
        break;
      case ZMQ_EVENT_ACCEPTED:
        on_closed(event->value, now);
        ended_.erase(event->value);
        gate_.on_accepted(event->value, now);
        break;
      case ZMQ_EVENT_ACCEPT_FAILED:
        gate_.on_accept_failed(now);
        break;
      case ZMQ_EVENT_DISCONNECTED:
        on_closed(event->value, now);
        ended_.insert(event->value);
        break;
      default:
        break;
    }
  }
}

void lower_sockets::pump(instant now) {
  now_ = now;
  if (bind_at_ && now >= *bind_at_) bind_announcements_later(now);
  // First received, then what the monitors tell, then handled: so the end of a connection is known
  // before anything that came by a later one with the same descriptor.
  std::vector<zmq_received> requests, subscriptions;
  while (requests.size() < requests_a_turn) {
    auto got = requests_.receive();
    if (!got) break;
    requests.push_back(std::move(*got));
  }
  while (announcements_.is_open() && subscriptions.size() < requests_a_turn) {
    auto got = announcements_.receive();
    if (!got) break;
    subscriptions.push_back(std::move(*got));
  }
  has_more_ = requests.size() == requests_a_turn || subscriptions.size() == requests_a_turn;
  ended_.clear();
  watch(requests_monitor_, requests_listener_, now);
  watch(announcements_monitor_, announcements_listener_, now);
  // A connection that has ended already is nothing to remember.
  const auto forget_ended = [&](zmq_received& one) {
    if (ended_.contains(one.descriptor)) one.descriptor = -1;
  };
  std::for_each(requests.begin(), requests.end(), forget_ended);
  std::for_each(subscriptions.begin(), subscriptions.end(), forget_ended);
  for (zmq_received& one : requests) on_request(one, now);
  for (const zmq_received& one : subscriptions) on_subscription(one, now);
  gate_.tick(now);
  for (auto at = closing_.begin(); at != closing_.end();) {
    const auto [descriptor, until] = *at;
    at = now < until ? std::next(at) : closing_.erase(at);
    if (now >= until) how_.limits.cut(descriptor);
  }
  for (const auto& [descriptor, until] : cutting_) {
    if (now < until) continue;
    strangers_.line("a cut connection did not end: the announcement socket is bound anew", now);
    close_announcements();
    bind_announcements_later(now);
    break;
  }
}

instant lower_sockets::next_tick() const {
  if (has_more_) return now_;
  instant first = std::min(gate_.next_tick(), bind_at_.value_or(instant::max()));
  for (const auto& [descriptor, until] : cutting_) first = std::min(first, until);
  for (const auto& [descriptor, until] : closing_) first = std::min(first, until);
  return first;
}

void lower_sockets::handles(std::vector<void*>& to) const {
  for (void* one : {requests_.handle(), announcements_.handle(), requests_monitor_.handle(),
                    announcements_monitor_.handle()}) {
    if (one != nullptr) to.push_back(one);
  }
}

lower_sockets::counters lower_sockets::count() const noexcept {
  counters result = count_;
  result.cut = gate_.cut_in_all();
  return result;
}

// ---- asks

std::uint64_t ask_of(const message& what) noexcept {
  return std::visit(
      [](const auto& one) -> std::uint64_t {
        if constexpr (requires { one.ask; }) return one.ask;
        return 0;
      },
      what);
}

std::uint64_t ask_in(std::string_view bytes) noexcept {
  // [version, type, ask, …] in msgpack: an array of a number, a name, a number.
  std::size_t at = 0;
  const auto byte = [&] { return static_cast<unsigned char>(bytes[at++]); };
  const auto number = [&]() -> std::optional<std::uint64_t> {
    if (at >= bytes.size()) return std::nullopt;
    const unsigned head = byte();
    if (head < 0x80) return head;
    if (head < 0xcc || head > 0xcf) return std::nullopt;
    std::size_t left = std::size_t{1} << (head - 0xcc);
    if (bytes.size() - at < left) return std::nullopt;
    std::uint64_t value = 0;
    for (; left > 0; --left) value = value << 8 | byte();
    return value;
  };
  if (bytes.empty()) return 0;
  const unsigned head = byte();
  if (head == 0xdc) {
    at += 2;
  } else if (head < 0x93 || head > 0x9f) {
    return 0;
  }
  if (!number() || at >= bytes.size()) return 0;
  const auto name = static_cast<unsigned char>(bytes[at]);
  if (name >= 0xa0 && name <= 0xbf) {
    at += 1U + (name & 0x1fU);
  } else if (!number()) {
    return 0;
  }
  return number().value_or(0);
}

}  // namespace troupe::cluster
