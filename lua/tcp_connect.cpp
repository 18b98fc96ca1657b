// SPDX-License-Identifier: Apache-2.0
//
// tcpsock:connect: the part of a TCP cosocket that finds an idle connection or makes one.
//
// Source   "tcpsock:connect" of ngx_lua's README.
// Thread   that of the script.
#include <sys/socket.h>

#include <cstring>

#include "lua/script.hpp"
#include "lua/socket_words.hpp"
#include "lua/tcp_socket.hpp"
#include "net/client_services.hpp"
#include "net/event_loop.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {

using net::log_level;

// --- Connecting -----------------------------------------------------------------------------------

void tcp_socket::fail(std::string text) {
  written.text = std::move(text);
  written.error = written.text.c_str();
}

tcp_socket::progress tcp_socket::connect(std::string host, std::uint16_t port,
                                         connect_options options) {
  if (stream_) {
    log_debug("lua tcp socket reconnect without shutting down");
    drop_stream();
  }
  if (was_used_ && logs_debug()) log_debug("lua reuse socket upstream ctx");
  host_name_ = std::move(host);
  port_ = port;
  address_ = {};
  options_ = std::move(options);
  written = {};
  reused_ = 0;
  at_end_ = read_ended_ = write_ended_ = timed_out_ = was_shaken_ = false;
  trust.reset();
  was_used_ = true;
  net::stream_pools& pools = host_.services().pools;
  if (options_.pool_size > 0 && logs_debug() && pools.find(options_.pool_key) == nullptr) {
    log_debug("lua tcp socket keepalive create connection pool for key \"" + options_.pool_key + "\"");
    log_debug("lua tcp socket connection pool size: " + std::to_string(options_.pool_size));
  }
  net::stream_pool* pool =
      options_.pool_size > 0 || options_.backlog >= 0
          ? &pools.get(options_.pool_key,
                       options_.pool_size > 0 ? options_.pool_size : settings().lua_socket_pool_size,
                       options_.backlog)
          : pools.find(options_.pool_key);
  if (pool == nullptr) return begin_connect();
  if (auto taken = pool->take(); taken.connection) {
    pool_ = pool;
    on_turn(std::move(taken.connection), taken.reused);
    return progress::done;
  }
  switch (pool->enter(*this)) {
    case net::stream_pool::admission::refuse:
      fail("too many waiting connect operations");
      return progress::done;
    case net::stream_pool::admission::wait:
      log_debug("lua tcp socket queue connect operation for connection pool \"" +
                options_.pool_key + "\"");
      pool_ = pool;
      step_ = step::queued;
      return progress::waiting;
    case net::stream_pool::admission::go: break;
  }
  pool_ = pool;
  return begin_connect();
}

void tcp_socket::on_turn(std::unique_ptr<net::client_stream> taken, std::uint32_t reused) noexcept {
  const bool was_queued = step_ == step::queued;
  step_ = step::none;
  if (taken) {
    if (logs_debug()) {
      log_debug("lua tcp socket get keepalive peer: using connection " + hex(taken.get()));
    }
    address_ = taken->peer();
    stream_ = std::move(taken);
    stream_->watcher = this;
    reused_ = reused;
  } else if (begin_connect() == progress::waiting) {
    arm_writer();
    return;
  }
  if (was_queued) wake(side::writer);
}

tcp_socket::progress tcp_socket::begin_connect() {
  const std::string& host = host_name_;
  if (host.starts_with("unix:")) {
    const auto path = net::address::parse_unix(host);
    if (!path) {
      fail("failed to parse host name \"" + host + "\": no path in the unix domain socket");
      drop_stream();
      return progress::done;
    }
    return connect_to(*path);
  }
  if (auto literal = net::address::parse_literal(host)) {
    literal->port(port_);
    return connect_to(*literal);
  }
  net::resolver& names = host_.services().names.get(settings().resolver ? *settings().resolver
                                                              : net::resolver_settings{});
  step_ = step::resolving;
  if (const auto known = names.known(host); !known.empty()) return connect_to_first(known);
  names.start(host, *this, settings().resolver_timeout);
  return progress::waiting;
}

tcp_socket::progress tcp_socket::connect_to_first(std::span<const net::address> addresses) {
  if (addresses.size() > 1) others_.assign(addresses.rbegin(), addresses.rend() - 1);
  net::address to = addresses.front();
  to.port(port_);
  return connect_to(to);
}

void tcp_socket::on_resolved(std::span<const net::address> addresses,
                             std::string_view error) noexcept {
  if (addresses.empty()) {
    fail(std::string(error));
    drop_stream();
    wake(side::writer);
    return;
  }
  if (connect_to_first(addresses) == progress::done) {
    wake(side::writer);
  } else {
    arm_writer();
  }
}

tcp_socket::progress tcp_socket::connect_to(const net::address& to) {
  address_ = to;
  auto made = std::make_unique<net::client_stream>(host_.loop());
  made->watcher = this;
  net::client_stream& stream = *made;
  const std::error_code error = stream.connect(to, how);
  stream_ = std::move(made);
  if (error) return connect_failed(error);
  if (stream.is_connecting()) {
    step_ = step::connecting;
    return progress::waiting;
  }
  return connected();
}

tcp_socket::progress tcp_socket::connected() {
  step_ = step::none;
  others_.clear();
  return tls_ ? begin_handshake() : progress::done;
}

tcp_socket::progress tcp_socket::connect_failed(std::error_code error) {
  if (!others_.empty()) {
    log_error(failed("connect()", error) + ", upstream: " + peer_text(), log_level::info);
    net::address to = others_.back();
    others_.pop_back();
    to.port(port_);
    stream_->watcher = nullptr;
    return connect_to(to);
  }
  if (host_name_.starts_with("unix:")) {
    // As nginx: those that come and go are no fault of the configuration.
    const bool may_pass = error.value() == ECONNREFUSED || error.value() == EAGAIN;
    log_error(failed(("connect() to " + host_name_).c_str(), error),
              may_pass ? log_level::error : log_level::crit);
  } else {
    log_error(failed("connect()", error) + ", upstream: " + peer_text());
  }
  fail(words(error));
  drop_stream();
  return progress::done;
}

tcp_socket::progress tcp_socket::go_on_connecting() {
  const std::error_code error = client()->connected();
  if (error == std::errc::operation_would_block) return progress::waiting;
  if (error) return connect_failed(error);
  return connected();
}

}  // namespace troupe::lua
