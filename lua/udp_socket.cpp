// SPDX-License-Identifier: Apache-2.0
#include "lua/udp_socket.hpp"

#include "lua/script.hpp"
#include "lua/socket_words.hpp"
#include "net/client_services.hpp"
#include "net/event_loop.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {

using net::log_level;

udp_socket::udp_socket(script& maker)
    : host_(maker.host()),
      x_(maker.exchange()),
      request_(key_of(maker.exchange())),
      log_(&maker.log()),
      settings_(&maker.settings()) {
  join(maker.belongings());
}

udp_socket::~udp_socket() = default;

udp_socket::request_key udp_socket::key_of(const net::exchange* x) noexcept {
  return x != nullptr ? request_key{x->client.number, x->client.requests} : request_key{};
}

void udp_socket::on_owner_ended() noexcept {
  cancel();
  close();
  x_ = nullptr;
  log_ = nullptr;
}

const net::location_settings& udp_socket::settings() const noexcept {
  return x_ != nullptr && x_->settings != nullptr ? *x_->settings : *settings_;
}

void udp_socket::log_error(const std::string& text) const {
  if (log_ == nullptr || !settings().lua_socket_log_errors || !log_->enabled(log_level::error)) return;
  log_->write(log_level::error, text);
}

void udp_socket::log_debug(const std::string& text) const {
  if (log_ != nullptr && log_->enabled(log_level::debug)) log_->write(log_level::debug, text);
}

std::string udp_socket::peer_text() const {
  std::string text = host_name_;
  if (port_ != 0) text += ":" + std::to_string(port_);
  if (!address_text_.empty()) text += "(" + address_text_ + ")";
  return text;
}

void udp_socket::begin_wait(wait_token token) noexcept {
  token_ = token;
  if (is_pending()) return;  // The resolver has a time-out of its own.
  const std::int64_t ms = timeout_ms > 0 ? timeout_ms : settings().lua_socket_read_timeout;
  if (ms > 0) host_.loop().timers().arm(*this, ms);
}

void udp_socket::wake() noexcept {
  host_.loop().timers().cancel(*this);
  if (const wait_token token = std::exchange(token_, wait_token::none); token != wait_token::none) {
    is_undelivered_ = true;
    host_.wake(token);
  }
}

void udp_socket::cancel() noexcept {
  is_undelivered_ = false;
  token_ = wait_token::none;
  query::cancel();
  host_.loop().timers().cancel(*this);
}

void udp_socket::close() noexcept { socket_.reset(); }

// --- The peer -------------------------------------------------------------------------------------

udp_socket::progress udp_socket::set_peer(std::string host, std::uint16_t port) {
  if (socket_) {
    log_debug("lua udp socket reconnect without shutting down");
    close();
  }
  if (was_used_) log_debug("lua reuse socket upstream ctx");
  was_used_ = true;
  last = {};
  host_name_ = host;
  address_text_.clear();
  port_ = port;
  if (host.starts_with("unix:")) {
    if (auto path = net::address::parse_unix(host)) {
      connect_to(*path);
    } else {
      last.error = "failed to parse host name \"" + host + "\": no path in the unix domain socket";
    }
    return progress::done;
  }
  if (auto literal = net::address::parse_literal(host)) {
    log_debug("lua udp socket network address given directly");
    literal->port(port);
    connect_to(*literal);
    return progress::done;
  }
  net::resolver& names = host_.services().names.get(
      settings().resolver ? *settings().resolver : net::resolver_settings{});
  if (const auto known = names.known(host); !known.empty()) {
    net::address to = known.front();
    to.port(port);
    connect_to(to);
    return progress::done;
  }
  names.start(host, *this, settings().resolver_timeout);
  return progress::waiting;
}

void udp_socket::on_resolved(std::span<const net::address> addresses,
                             std::string_view error) noexcept {
  if (addresses.empty()) {
    last.error = error;
  } else {
    net::address to = addresses.front();
    to.port(port_);
    connect_to(to);
  }
  wake();
}

void udp_socket::connect_to(const net::address& to) {
  net::datagram_socket::observer& watcher = *this;
  address_text_ = to.host();
  socket_ = std::make_unique<net::datagram_socket>(host_.loop(), watcher);
  if (const auto error = socket_->connect(to, from); error) {
    log_error(failed("connect()", error) + ", upstream: " + peer_text());
    last.error = words(error);
    socket_.reset();
  }
}

// --- Datagrams ------------------------------------------------------------------------------------

std::string udp_socket::send(std::string_view datagram) {
  const net::io_result sent = socket_->send(datagram);
  if (log_ != nullptr && log_->enabled(log_level::debug)) {
    log_debug("send: fd:" + std::to_string(socket_->descriptor()) + " " + std::to_string(sent.bytes) +
              " of " + std::to_string(datagram.size()));
  }
  if (sent.error) return words(sent.error);
  return sent.bytes == datagram.size() ? "" : "partial write";
}

udp_socket::progress udp_socket::receive(std::size_t most) {
  most_ = most;
  last = {};
  return try_receive() ? progress::done : progress::waiting;
}

bool udp_socket::try_receive() {
  const auto room = host_.loop().scratch();
  const net::io_result got = socket_->receive(room.first(std::min(most_, room.size())));
  if (got.would_block()) return false;
  if (got.error) {
    log_error(failed("recv()", got.error) + ", upstream: " + peer_text());
    last.error = words(got.error);
  } else {
    last.data.assign(room.data(), got.bytes);
  }
  return true;
}

void udp_socket::on_ready() noexcept {
  if (token_ != wait_token::none && !is_pending() && try_receive()) wake();
}

void udp_socket::on_timer() noexcept {
  log_error("lua udp socket read timed out, upstream: " + peer_text());
  last.error = "timeout";
  wake();
}

}  // namespace troupe::lua
