// SPDX-License-Identifier: Apache-2.0
//
// A TCP cosocket: what Lua asks of a stream, each wait a coroutine's. One coroutine may read while
// another writes. Lua's own values are lua/api/socket_tcp's business.
//
// Source   "ngx.socket.tcp" of ngx_lua's README.
// Thread   that of its script.
// Errors   ngx_lua's words: "timeout", "closed", "connection refused" …
// Memory   what was received and not yet asked for; freed with the connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lua/wait_table.hpp"
#include "net/belongings.hpp"
#include "net/client_stream.hpp"
#include "net/log.hpp"
#include "net/resolver.hpp"
#include "net/settings.hpp"
#include "net/stream.hpp"
#include "net/stream_pool.hpp"
#include "net/timer_wheel.hpp"

namespace troupe::net {
class exchange;
class log_context;
}  // namespace troupe::net

namespace troupe::lua {

class script;
class script_host;

/// What `receive` and its kin wait for.
struct read_goal {
  enum class kind { line, size, all, any, until } what = kind::line;
  std::size_t size = 0;            ///< Of `size`, `any`; of `until`: 0 for all up to the pattern.
  struct boundary* until = nullptr;
  std::size_t searched = 0;        ///< So much of what is there holds no end of it.
};

/// Of receiveuntil: the pattern, and whether its end was just reached.
struct boundary {
  std::string pattern;
  std::vector<std::size_t> borders;  ///< Knuth-Morris-Pratt's failure function.
  bool inclusive = false;
  bool at_end = false;               ///< The next call says so and begins anew.
  explicit boundary(std::string text, bool keep);
};

class tcp_socket final : public net::belonging,
                         private net::stream::observer,
                         private net::stream_pool::waiter,
                         private net::resolver::query {
public:
  explicit tcp_socket(script& maker);
  ~tcp_socket() override;

  enum class progress { done, waiting };
  /// How an operation ended; `error` null: well.
  struct outcome {
    const char* error = nullptr;
    std::string text;      ///< Error text that is no constant; error points into it then.
    std::string data;      ///< Received, or the partial result.
    bool is_boundary = false;  ///< until: nothing is left before the pattern, say nil.
    std::size_t sent = 0;
  };

  struct connect_options {
    std::string pool_key;
    std::size_t pool_size = 0;  ///< 0: not given.
    int backlog = -1;
  };

  // --- Operations: `done` leaves its outcome in read or written ------------------------------------
  progress connect(std::string host, std::uint16_t port, connect_options options);
  progress send(std::string_view bytes);
  progress receive(const read_goal& goal);
  /// A connection of the pool that was shaken hands with as somebody else goes back to it, for
  /// another one or a new one.
  progress handshake(net::tls_request wanted);
  /// Null: it is in the pool. @param timeout_ms -1, size 0: the configuration's. @param closes  it is
  /// checked and closed: its release takes no more work.
  const char* set_keepalive(std::int64_t timeout_ms, std::size_t size, bool closes);
  /// False: it was closed already.
  bool close() noexcept;
  /// Takes over the client's side of a request. @param raw  both ways, else reading only.
  void take_request(std::unique_ptr<net::stream> request, bool raw);

  outcome read;     ///< Of receive.
  outcome written;  ///< Of connect, send, handshake.

  // --- Who waits ------------------------------------------------------------------------------------
  enum class side { reader, writer };
  void begin_wait(side which, wait_token token, std::int64_t timeout_ms) noexcept;
  /// The coroutine has gone.
  void cancel(side which) noexcept;
  /// The coroutine has its results.
  void delivered(side which) noexcept {
    (which == side::reader ? reader_ : writer_).is_undelivered = false;
  }

  [[nodiscard]] const char* busy(side which) const noexcept;
  [[nodiscard]] bool is_open() const noexcept { return stream_ != nullptr; }
  [[nodiscard]] bool can_read() const noexcept { return stream_ != nullptr && !read_ended_; }
  [[nodiscard]] bool can_write() const noexcept { return stream_ != nullptr && !write_ended_; }
  [[nodiscard]] bool was_used() const noexcept { return was_used_; }
  [[nodiscard]] bool is_request() const noexcept { return is_request_; }
  [[nodiscard]] bool is_raw() const noexcept { return is_raw_; }
  [[nodiscard]] std::uint32_t reused() const noexcept { return reused_; }
  [[nodiscard]] int descriptor() const noexcept { return stream_ ? stream_->descriptor() : -1; }
  [[nodiscard]] net::client_stream* client() noexcept;
  /// `HOST:PORT(IP)` as log lines have it.
  [[nodiscard]] std::string peer_text() const;
  void log_closed(const char* doing) const;
  void log_error(const std::string& text, net::log_level level = net::log_level::error) const;
  void log_debug(const std::string& text) const;
  [[nodiscard]] bool logs_debug() const noexcept;
  [[nodiscard]] const net::location_settings& settings() const noexcept;

  // Time-outs in milliseconds; 0: the configuration's.
  std::int64_t connect_timeout = 0, send_timeout = 0, read_timeout = 0;
  net::client_stream::options how;
  std::shared_ptr<X509_STORE> trust;  ///< Of this connection's handshake, instead of the configured.
  [[nodiscard]] std::int64_t timeout_of(side which, bool connecting) const noexcept;

  void on_owner_ended() noexcept override;
  /// It has ended with a subrequest of the request whose code this is.
  [[nodiscard]] bool is_of_another_part(const net::exchange* x) const noexcept {
    return owner() == nullptr && request_ != request_key{} && request_ == key_of(x);
  }

private:
  struct waiting final : net::timer {
    tcp_socket* self = nullptr;
    side which = side::reader;
    wait_token token = wait_token::none;
    bool is_undelivered = false;  ///< It has ended; its coroutine does not know yet.
    void on_timer() noexcept override { self->on_timeout(which); }
  };
  enum class step { none, queued, resolving, connecting, handshaking, sending };

  void on_ready() noexcept override;
  void on_turn(std::unique_ptr<net::client_stream> taken, std::uint32_t reused) noexcept override;
  void on_resolved(std::span<const net::address> addresses, std::string_view error) noexcept override;
  void on_timeout(side which) noexcept;
  void arm_writer() noexcept;
  void wake(side which) noexcept;

  progress begin_connect();
  progress connect_to_first(std::span<const net::address> addresses);
  progress connect_to(const net::address& to);
  progress connected();
  progress go_on_connecting();
  progress connect_failed(std::error_code error);
  progress exchange_pooled();
  progress begin_handshake();
  progress go_on_handshake();
  progress verify_peer();
  progress go_on_sending();
  progress send_failed(std::error_code error);
  progress go_on_reading();
  void read_on() noexcept;
  bool satisfy(bool at_end);
  bool satisfy_until(bool at_end);
  void fail_read(const char* error);
  void fail(const char* error) noexcept { written.error = error; }
  void fail(std::string text);
  void drop_stream() noexcept;
  [[nodiscard]] std::string_view input() const noexcept {
    return std::string_view(input_).substr(input_at_);
  }
  void take_input(std::size_t size, std::string& into);

  /// Connection and request, the same for all parts of a request; zeros: none.
  using request_key = std::pair<std::uint64_t, std::uint64_t>;
  static request_key key_of(const net::exchange* x) noexcept;

  script_host& host_;
  net::exchange* x_;
  request_key request_;
  const net::log_context* log_;
  const net::location_settings* settings_;  ///< Where there is no exchange.
  std::unique_ptr<net::stream> stream_;
  std::string host_name_;
  std::uint16_t port_ = 0;
  net::address address_;  ///< Of the peer, once it is known.
  connect_options options_;
  net::stream_pool* pool_ = nullptr;  ///< That counts this connection; it lives as long as it does.
  std::uint32_t reused_ = 0;

  /// Goes on reading in the loop's next turn: a peer that sends faster than this reads gives no pause.
  struct next_turn final : net::timer {
    tcp_socket* self = nullptr;
    void on_timer() noexcept override { self->read_on(); }
  };

  waiting reader_, writer_;
  next_turn next_turn_;
  step step_ = step::none;
  read_goal goal_;
  std::string output_;
  std::size_t output_at_ = 0;
  std::string input_;
  std::size_t input_at_ = 0;
  std::unique_ptr<net::tls_request> tls_;  ///< Of the handshake under way.
  std::vector<net::address> others_;       ///< Addresses of the name, the next to try last.
  bool was_shaken_ = false;   ///< By this owner: sslhandshake has no more to do.
  bool at_end_ = false;       ///< The peer has ended its side.
  bool read_ended_ = false;   ///< Reading has failed for good.
  bool write_ended_ = false;
  bool timed_out_ = false;    ///< Once; such a connection is not kept.
  bool was_used_ = false;
  bool is_request_ = false;
  bool is_raw_ = false;
};

}  // namespace troupe::lua
