// SPDX-License-Identifier: Apache-2.0
#include "cluster/upper_socket.hpp"

#include "cluster/topic_frame.hpp"

#include <zmq.h>

#include <algorithm>
#include <utility>

namespace troupe::cluster {

namespace {

constexpr long long max_message = 1024 * 1024;
constexpr int watched_events =
    ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
    ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
    ZMQ_EVENT_DISCONNECTED;
constexpr std::size_t messages_a_turn = 256;
// A network that is whole again is to be noticed in a second or two, not after ten.
constexpr int connect_again_most_ms = 1'000;
constexpr int connect_timeout_ms = 1'500;

}  // namespace

upper_socket::upper_socket(const zmq_context& context, options how, handlers then)
    : context_(context),
      how_(std::move(how)),
      then_(std::move(then)),
      problems_(how_.log, log_level::warn),
      random_(std::random_device{}()) {}

upper_socket::~upper_socket() = default;

std::chrono::milliseconds upper_socket::jitter(std::chrono::milliseconds most) {
  return std::chrono::milliseconds(
      std::uniform_int_distribution<long>(0, std::max<long>(1, most.count()))(random_));
}

std::chrono::milliseconds upper_socket::attempt_time() {
  auto time = how_.attempt * (1L << std::min(rounds_in_vain_, 2U));
  // With others to try, not long for one where nobody is: who is there will be given longer.
  if (addresses_.size() > 1) time /= 2;
  return time + jitter(time / 4);
}

void upper_socket::addresses(std::vector<upper_address> those, instant now) {
  addresses_ = std::move(those);
  at_ = 0;
  if (to_ && std::find(addresses_.begin(), addresses_.end(), *to_) != addresses_.end()) {
    at_ = static_cast<std::size_t>(std::find(addresses_.begin(), addresses_.end(), *to_) -
                                   addresses_.begin());
    return;
  }
  if (to_) {
    anew_ = true;
  } else if (!open_at_) {
    open_at_ = now;
  }
}

tl::expected<upper_socket::link, refusal> upper_socket::make(int type, const upper_address& to,
                                                             std::uint16_t distance) {
  auto socket = zmq_socket::open(context_, type);
  if (!socket) return tl::unexpected(socket.error());
  tl::expected<void, refusal> done;
  const auto set = [&](int option, auto value) {
    if (done) done = socket->set(option, value);
  };
  if (how_.keys) {
    set(ZMQ_CURVE_PUBLICKEY, std::string_view(how_.keys->public_key));
    set(ZMQ_CURVE_SECRETKEY, std::string_view(how_.keys->secret_key));
    set(ZMQ_CURVE_SERVERKEY, std::string_view(to.server_key));
  }
  // No heartbeats here: the binding side has them, and the protocol has its beacons.
  set(ZMQ_HANDSHAKE_IVL, static_cast<int>(how_.handshake.count()));
  set(ZMQ_RCVHWM, 0);
  set(ZMQ_SNDHWM, 1'000);
  set(ZMQ_RECONNECT_IVL,
      static_cast<int>(
          (std::chrono::milliseconds(100) + jitter(std::chrono::milliseconds(400))).count()));
  set(ZMQ_RECONNECT_IVL_MAX, connect_again_most_ms);
  set(ZMQ_CONNECT_TIMEOUT, connect_timeout_ms);
  set(ZMQ_TCP_KEEPALIVE, 1);
  set(ZMQ_TCP_KEEPALIVE_IDLE, 30);
  set(ZMQ_TCP_KEEPALIVE_INTVL, 10);
  set(ZMQ_TCP_KEEPALIVE_CNT, 3);
  set(ZMQ_IPV6, 1);
  if (done) done = socket->set_wide(ZMQ_MAXMSGSIZE, max_message);
  if (!done) return tl::unexpected(done.error());
  if (type == ZMQ_SUB) {
    // Before it connects, so that they are the first that goes over a new connection.
    set(ZMQ_SUBSCRIBE, std::string_view(subscription_of(topic_changes)));
    set(ZMQ_SUBSCRIBE, std::string_view(subscription_of(topic_beacons)));
    for (const std::string& one : topics_) {
      set(ZMQ_SUBSCRIBE, std::string_view(subscription_of(one)));
    }
    if (!done) return tl::unexpected(done.error());
  }
  auto monitor = zmq_monitor::open(context_, *socket, watched_events);
  if (!monitor) return tl::unexpected(monitor.error());
  if (done = socket->connect(to.at.endpoint(distance)); !done) return tl::unexpected(done.error());
  if (type == ZMQ_SUB) {
    const std::string own = std::string(topic_node_prefix) + how_.node;
    set(ZMQ_SUBSCRIBE, std::string_view(subscription_of(own)));
    if (!done) return tl::unexpected(done.error());
  }
  return link{std::move(*socket), std::move(*monitor)};
}

void upper_socket::open(instant now) {
  open_at_.reset();
  if (addresses_.empty()) return;
  at_ %= addresses_.size();
  const upper_address to = addresses_[at_];
  ++count_.attempts;
  if (how_.keys && !is_curve_key(to.server_key)) {
    fail("the key of " + to.at.text() + " is not known", true, now);
    return;
  }
  if (!how_.node.empty()) {
    auto made = make(ZMQ_SUB, to, 1);
    if (!made) return fail(made.error().reason, true, now);
    announcements_ = std::move(*made);
  }
  auto made = make(ZMQ_DEALER, to, 0);
  if (!made) return fail(made.error().reason, true, now);
  requests_ = std::move(*made);
  to_ = to;
  attempt_began_ = now;
  give_up_at_ = now + attempt_time();
}

void upper_socket::close(instant now) {
  // What came before still counts.
  announcements_.has_messages = requests_.has_messages = true;
  drain(announcements_, true);
  drain(requests_, false);
  announcements_ = link();
  requests_ = link();
  ++links_;
  to_.reset();
  give_up_at_.reset();
  set_up(false, now);
}

void upper_socket::set_up(bool up, instant now) {
  if (up == is_up_) return;
  is_up_ = up;
  if (up) {
    problem_.clear();
    refused_in_a_row_ = 0;
    rounds_in_vain_ = 0;
    give_up_at_.reset();
    took_ = std::chrono::duration_cast<std::chrono::milliseconds>(now - attempt_began_);
  } else if (to_) {
    attempt_began_ = now;
    // libzmq connects again by itself; when that takes too long, the next address is tried.
    give_up_at_ = now + attempt_time();
  }
  if (then_.on_link) then_.on_link(up, now);
}

void upper_socket::fail(const std::string& why, bool refused, instant now) {
  if (problem_ != why) problems_.line(why, now);
  problem_ = why;
  close(now);
  ++at_;
  if (!refused) {
    const bool tried_all = addresses_.empty() || at_ % addresses_.size() == 0;
    if (tried_all && was_there_) ++rounds_in_vain_;
    if (tried_all) was_there_ = false;
    open_at_ = now + jitter(how_.back_off);
    return;
  }
  const bool tried_all = addresses_.empty() || at_ % addresses_.size() == 0;
  if (tried_all && refused_in_a_row_ < 16) ++refused_in_a_row_;
  const auto most = std::min(how_.back_off_most, how_.back_off * (1L << refused_in_a_row_));
  // Between half of it and all, so that those that were refused together do not come together.
  open_at_ = now + most / 2 + jitter(most / 2);
}

bool upper_socket::watch(link& one, instant now) {
  // Until it is up, since that has to be known before the first message is handled.
  if (one.up && how_.is_told_what_is_ready && !one.has_events) return true;
  one.has_events = false;
  while (const auto event = one.monitor.next()) {
    switch (event->what) {
      case ZMQ_EVENT_CONNECTED:
        // Somebody is there, and busy with the handshakes of others perhaps: to begin anew would make
        // it wait longer.
        was_there_ = true;
        if (give_up_at_) {
          const auto wait = addresses_.size() > 1 ? 2 * how_.attempt : how_.handshake;
          give_up_at_ = std::max(*give_up_at_, now + wait);
        }
        break;
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        one.up = true;
        break;
      case ZMQ_EVENT_DISCONNECTED:
        one.up = false;
        break;
      default:
        // libzmq does not try again after these.
        ++count_.denied;
        fail(to_->at.text() +
                 (event->what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? std::string(denied_words)
                  : how_.keys ? " ended the handshake: another key than we expect, or it is busy"
                              : " ended the handshake: it wants keys, or it is busy"),
             true, now);
        return false;
    }
  }
  return true;
}

void upper_socket::drain(link& one, bool announced) {
  if (!one.socket.is_open()) return;
  if (how_.is_told_what_is_ready && !one.has_messages) return;
  one.has_messages = false;
  while (auto got = one.socket.receive()) {
    std::size_t bytes = 0;
    for (const std::string& frame : got->frames) bytes += frame.size();
    if (queue_.size() >= how_.queue_messages || queued_bytes_ + bytes > how_.queue_bytes) {
      ++count_.dropped;
      ++gap_;
      continue;
    }
    queued_bytes_ += bytes;
    queue_.push_back({announced, links_, std::move(got->frames), bytes});
  }
}

void upper_socket::deliver(incoming& one, instant now) {
  if (one.frames.size() != 1) {
    ++count_.garbage;
    problems_.line("a message of " + std::to_string(one.frames.size()) + " frames from above", now);
    return;
  }
  const auto parts = one.announced ? parse_topic_frame(one.frames[0])
                                   : std::optional(topic_frame{{}, one.frames[0]});
  if (!parts) {
    ++count_.garbage;
    problems_.line("an announcement without a topic", now);
    return;
  }
  auto what = decode_message(parts->message);
  if (!what) {
    ++count_.garbage;
    problems_.line("a message from above refused: " + what.error().reason, now);
    return;
  }
  is_of_this_link_ = one.link == links_;
  if (one.announced) {
    if (then_.on_announced) then_.on_announced(parts->topic, std::move(*what), now);
  } else if (then_.on_message) {
    then_.on_message(std::move(*what), now);
  }
  is_of_this_link_ = false;
}

std::string_view upper_socket::server_key() const {
  return is_of_this_link_ && to_ ? std::string_view(to_->server_key) : std::string_view();
}

void upper_socket::pump(instant now) {
  now_ = now;
  const bool is_open = to_ && watch(announcements_, now) && watch(requests_, now);
  const bool both = is_open && requests_.up && (how_.node.empty() || announcements_.up);
  // Up before the first message of a new link, down after the last of an old one.
  if (both) set_up(true, now);
  drain(announcements_, true);
  drain(requests_, false);
  for (std::size_t count = 0; count < messages_a_turn && !queue_.empty(); ++count) {
    incoming one = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= one.bytes;
    deliver(one, now);
  }
  if (is_open && !both) set_up(false, now);
  if (gap_ > 0 && queue_.empty()) {
    problems_.line(std::to_string(gap_) + " messages from above dropped: more than we can take",
                   now);
    if (then_.on_gap) then_.on_gap(gap_, now);
    gap_ = 0;
  }
  if (anew_) {
    anew_ = false;
    if (to_) close(now);
    // Not the same one again at once, if there are others.
    if (addresses_.size() > 1) ++at_;
    open_at_ = now + jitter(std::chrono::milliseconds(100));
  }
  if (give_up_at_ && now >= *give_up_at_) {
    fail("no link to " + to_->at.text(), false, now);
  }
  if (open_at_ && now >= *open_at_) open(now);
}

upper_socket::instant upper_socket::next_tick() const {
  if (!queue_.empty() || anew_) return now_;
  return std::min(open_at_.value_or(instant::max()), give_up_at_.value_or(instant::max()));
}

void upper_socket::handles(std::vector<void*>& to) const {
  for (void* one : {announcements_.socket.handle(), announcements_.monitor.handle(),
                    requests_.socket.handle(), requests_.monitor.handle()}) {
    if (one != nullptr) to.push_back(one);
  }
}

void upper_socket::on_ready(void* handle) {
  for (link* one : {&announcements_, &requests_}) {
    if (handle == one->socket.handle()) one->has_messages = true;
    if (handle != one->monitor.handle()) continue;
    one->has_events = true;
    // The last messages of a link are handled before its end.
    announcements_.has_messages = requests_.has_messages = true;
  }
}

void upper_socket::send(const message& what) {
  if (!is_up_ || requests_.socket.send(encode(what)) != zmq_socket::outcome::sent) ++count_.lost;
}

void upper_socket::connect_anew() {
  // What is not up tries already, as often as is good.
  if (is_up_) anew_ = true;
}

void upper_socket::subscribe(const std::string& topic) {
  if (!topics_.insert(topic).second || !announcements_.socket.is_open()) return;
  (void)announcements_.socket.set(ZMQ_SUBSCRIBE, std::string_view(subscription_of(topic)));
}

void upper_socket::unsubscribe(const std::string& topic) {
  if (topics_.erase(topic) == 0 || !announcements_.socket.is_open()) return;
  (void)announcements_.socket.set(ZMQ_UNSUBSCRIBE, std::string_view(subscription_of(topic)));
}

std::optional<upper_address> upper_socket::linked_to() const {
  return is_up_ ? to_ : std::nullopt;
}

}  // namespace troupe::cluster
