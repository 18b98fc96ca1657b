// SPDX-License-Identifier: Apache-2.0
//
// A client's HTTP/1.x connection: the actor that owns the socket and its exchanges, one after
// another. It reads and parses a head, hands the exchange to the chain, frames what comes back, and
// reads the body when somebody asks for it.
//
// An idle connection holds no buffer: it reads into the loop's scratch room, and everything that
// belongs to a request is in the pooled exchange.
//
// Source   RFC 9112; keepalive_*, client_* and lingering_* of ngx_http_core_module.
// Thread   shard.
// Called   made by runtime/node when a listener accepts; calls net/http1_parser, net/http1_writer.
#pragma once

#include <memory>
#include <string>

#include "actors/exchange_actor.hpp"
#include "actors/request_stream.hpp"
#include "actors/resident.hpp"
#include "net/chunked.hpp"
#include "net/event_loop.hpp"
#include "net/http1_parser.hpp"
#include "net/socket.hpp"

namespace troupe::actors {

/// What the connections of one listening socket share on one shard.
struct connection_origin {
  std::size_t group = 0;        ///< Index in site.listens; a new release may move it.
  bool is_closed = false;       ///< Its address is no longer configured: nothing new is served.
  net::address configured;      ///< As written, which a reload looks for.
  net::address where;           ///< As bound.
  std::string listener;         ///< Text of `configured`.
  std::string server_addr;      ///< Text without port.
  std::uint16_t server_port = 0;
};

class connection final : public exchange_actor, public resident, private net::io_handler {
public:
  connection(caf::actor_config& config, shard& home, net::unique_fd socket,
             const net::address& peer, std::shared_ptr<const connection_origin> origin);
  ~connection() override;

  /// Makes the actor and lets it read. It keeps itself alive until it closes.
  static caf::strong_actor_ptr accept(shard& home, net::unique_fd socket, const net::address& peer,
                                      std::shared_ptr<const connection_origin> origin);

  caf::behavior make_behavior() override;
  void on_exit() override;
  const char* name() const override { return "troupe.connection"; }

  // net::exchange_owner
  progress read_body(net::exchange& x) override;
  void discard_body(net::exchange& x) override;
  progress flush(net::exchange& x) override;
  std::unique_ptr<net::stream> take_stream(net::exchange& x, bool raw, const char*& error) override;
  [[nodiscard]] bool is_broken(const net::exchange& x) const noexcept override;

  [[nodiscard]] bool is_idle() const noexcept { return state_ == state::idle; }
  /// Ends the connection and its exchange at once.
  void close();
  void end_gracefully() noexcept override { tell(close_gracefully{}); }
  void end_now() noexcept override { close(); }
  void end_with(const shard_release& release, std::int64_t drain_ms) noexcept override;

  // For request_stream.
  net::io_result read_stream(std::span<char> into, bool raw) noexcept;
  net::io_result write_stream(std::span<const iovec> pieces) noexcept;
  void forget_stream() noexcept { stream_ = nullptr; }
  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

protected:
  void on_placed(const net::location_settings& settings) override {
    if (end_seen_ && settings.lua_check_client_abort) tell(client_ended{});
  }
  void send_head(net::exchange& x) override;
  void send_body(net::exchange& x, bool last) override;
  void on_ended(exchange_box& box) override;
  [[nodiscard]] bool is_drained(const net::exchange& x) const noexcept override;

private:
  enum class state : std::uint8_t {
    idle,       ///< Between requests; no exchange.
    head,       ///< Some bytes of a head are here.
    serving,    ///< The exchange is with the stages.
    discarding, ///< The response is out, the rest of the request's body is read and dropped.
    lingering,  ///< Our side is shut; the client's bytes are read and dropped for a while.
    closed,
  };
  enum class body_mode : std::uint8_t { none, length, chunked };
  struct deadline final : net::timer {
    connection* self = nullptr;
    void on_timer() noexcept override { self->on_deadline(); }
  };

  void on_io(std::uint32_t events) noexcept override;
  void on_deadline() noexcept;
  void on_readable();
  [[nodiscard]] bool sees_client_gone() const noexcept;
  bool fill();
  void begin_head();
  void read_head();
  void read_one_head();
  bool parse_head();
  void start_exchange(const net::request_head& head);
  void refuse(int status, std::string_view why);
  void read_some_body();
  void take_body(std::string_view bytes);
  void body_complete();
  void body_failed(int status);
  void write_out(net::exchange& x);
  void peer_closed();
  void linger();
  void next_request();
  void wait_for(std::int64_t ms);
  void log(net::log_level level, std::string_view text) const;
  [[nodiscard]] const net::location_settings& settings() const noexcept;

  void watch_writable() noexcept;

  net::unique_fd socket_;
  request_stream* stream_ = nullptr;  ///< Lua reads and writes itself.
  std::shared_ptr<const connection_origin> origin_;
  caf::strong_actor_ptr self_;      ///< Keeps this alive while the socket is open.
  exchange_ref pending_;            ///< The exchange whose head is being read.
  std::string input_;               ///< Received and not yet used: pipelined, or body to come.
  net::http1_parser parser_;
  net::chunked_decoder chunked_;
  std::uint64_t body_left_ = 0;
  std::uint64_t body_seen_ = 0;
  std::uint64_t number_ = 0;
  std::uint64_t requests_ = 0;
  std::int64_t started_ms_ = 0;
  std::int64_t timer_at_ = 0;       ///< When the deadline counts; the timer may be set earlier.
  deadline deadline_;
  std::string peer_host_;
  char peer_binary_[16] = {};
  std::uint8_t peer_binary_size_ = 0;
  std::uint16_t peer_port_ = 0;
  state state_ = state::idle;
  body_mode body_mode_ = body_mode::none;
  bool in_read_head_ = false;
  bool read_again_ = false;         ///< For the read_head() under way.
  bool readable_ = false;           ///< More bytes may wait in the socket.
  bool end_seen_ = false;           ///< The peer's end waits behind its last bytes.
  bool writable_watched_ = false;
  bool peer_ended_ = false;
  bool broken_ = false;
  bool reading_body_ = false;
  bool waiting_body_ = false;       ///< A stage or coroutine waits for the body.
  bool sent_continue_ = false;
  bool draining_ = false;           ///< Close after the current exchange.
  bool taken_blocked_ = false;      ///< The last that Lua wrote itself did not go out whole.
  bool ends_gently_ = false;        ///< Cut off by us: the client may read what there is.
};

}  // namespace troupe::actors
