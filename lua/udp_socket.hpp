// SPDX-License-Identifier: Apache-2.0
//
// A UDP cosocket, or one of Unix datagrams. Sending does not wait; one coroutine at a time receives.
//
// Source   "ngx.socket.udp" of ngx_lua's README.
// Thread   that of its script.
// Errors   ngx_lua's words: "timeout", "closed", "connection refused" …
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lua/wait_table.hpp"
#include "net/belongings.hpp"
#include "net/datagram_socket.hpp"
#include "net/resolver.hpp"
#include "net/settings.hpp"
#include "net/timer_wheel.hpp"

namespace troupe::net {
class exchange;
class log_context;
}  // namespace troupe::net

namespace troupe::lua {

class script;
class script_host;

class udp_socket final : public net::belonging,
                         private net::datagram_socket::observer,
                         private net::resolver::query,
                         private net::timer {
public:
  explicit udp_socket(script& maker);
  ~udp_socket() override;

  enum class progress { done, waiting };
  /// Of the last operation; `error` empty: well.
  struct outcome {
    std::string error;
    std::string data;
  };

  progress set_peer(std::string host, std::uint16_t port);
  /// Empty: sent.
  std::string send(std::string_view datagram);
  progress receive(std::size_t most);
  void close() noexcept;

  /// The coroutine waits for what `waiting` said.
  void begin_wait(wait_token token) noexcept;
  void cancel() noexcept;

  [[nodiscard]] bool is_open() const noexcept { return socket_ != nullptr; }
  [[nodiscard]] bool is_busy() const noexcept { return token_ != wait_token::none || is_undelivered_; }
  /// The coroutine has its results.
  void delivered() noexcept { is_undelivered_ = false; }
  /// `HOST:PORT(IP)` as log lines have it.
  [[nodiscard]] std::string peer_text() const;
  void log_error(const std::string& text) const;
  void log_debug(const std::string& text) const;
  [[nodiscard]] const net::location_settings& settings() const noexcept;

  outcome last;
  std::int64_t timeout_ms = 0;  ///< 0: the configuration's.
  net::address from;            ///< The local address of the next set_peer().

  void on_owner_ended() noexcept override;
  /// It has ended with a subrequest of the request whose code this is.
  [[nodiscard]] bool is_of_another_part(const net::exchange* x) const noexcept {
    return owner() == nullptr && request_ != request_key{} && request_ == key_of(x);
  }

private:
  void on_ready() noexcept override;
  void on_resolved(std::span<const net::address> addresses, std::string_view error) noexcept override;
  void on_timer() noexcept override;
  void connect_to(const net::address& to);
  bool try_receive();
  void wake() noexcept;

  /// Connection and request, the same for all parts of a request; zeros: none.
  using request_key = std::pair<std::uint64_t, std::uint64_t>;
  static request_key key_of(const net::exchange* x) noexcept;

  script_host& host_;
  net::exchange* x_;
  request_key request_;
  const net::log_context* log_;
  const net::location_settings* settings_;  ///< Where there is no exchange.
  std::unique_ptr<net::datagram_socket> socket_;
  wait_token token_ = wait_token::none;
  bool is_undelivered_ = false;  ///< The wait has ended; its coroutine does not know yet.
  std::size_t most_ = 0;
  std::string host_name_;
  std::string address_text_;
  std::uint16_t port_ = 0;
  bool was_used_ = false;
};

}  // namespace troupe::lua
