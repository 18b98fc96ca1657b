// SPDX-License-Identifier: Apache-2.0
//
// A connection that we made: TCP or a Unix socket, with TLS on top if wanted.
//
// Source   connect(2), SSL_connect(3).
// Thread   shard.
// Errors   io_result; what OpenSSL says is in tls_error().
// Memory   the descriptor; with TLS an SSL object. No buffers of its own.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "net/address.hpp"
#include "net/event_loop.hpp"
#include "net/stream.hpp"
#include "net/tls_session.hpp"

namespace troupe::net {

class client_stream final : public stream, private io_handler {
public:
  explicit client_stream(event_loop& loop) : loop_(loop) {}
  ~client_stream() override;

  /// What is to be set before connect(): bind(), socket options.
  struct options {
    address from;             ///< The local address; family unspecified: any.
    bool is_transparent = false;
  };

  /// Begins. Without an error, and is_connecting(): the watcher is told, then connected() says how it
  /// went. A Unix socket whose backlog is full is the error EAGAIN at once.
  std::error_code connect(const address& to, const options& how) noexcept;
  [[nodiscard]] bool is_connecting() const noexcept { return is_connecting_; }
  /// How a connect that was under way ended; would_block: it has not.
  [[nodiscard]] std::error_code connected() noexcept;

  /// Begins TLS as a client. Null: well; else what went wrong, in ngx_lua's words.
  const char* start_tls(const tls_request& wanted) noexcept;
  /// Goes on with the handshake; would_block: the watcher is told.
  io_result handshake() noexcept;
  [[nodiscard]] SSL* tls() const noexcept { return tls_.get(); }
  [[nodiscard]] const std::string& tls_error() const noexcept { return tls_error_; }
  /// Null: no handshake was begun.
  [[nodiscard]] const tls_identity* identity() const noexcept { return identity_.get(); }
  /// Null: no handshake was begun. It changes with each ticket of the peer.
  [[nodiscard]] const std::shared_ptr<tls_session>& session() const noexcept { return session_; }

  io_result read(std::span<char> into) noexcept override;
  io_result write(std::span<const iovec> pieces) noexcept override;
  [[nodiscard]] int descriptor() const noexcept override { return fd_.get(); }
  [[nodiscard]] const address& peer() const noexcept { return peer_; }

  /// How it rests: open with nothing to read, which is how it may be used again, or not.
  enum class rest { quiet, ended, unread };
  [[nodiscard]] rest look() noexcept;
  [[nodiscard]] bool is_quiet() noexcept { return look() == rest::quiet; }

private:
  struct tls_free {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };
  void on_io(std::uint32_t events) noexcept override;
  io_result tls_result(int result) noexcept;

  event_loop& loop_;
  unique_fd fd_;
  address peer_;
  std::shared_ptr<const tls_identity> identity_;
  std::shared_ptr<tls_session> session_;
  std::unique_ptr<SSL, tls_free> tls_;  ///< Knows session_.
  std::string tls_error_;
  bool is_connecting_ = false;
  // What the edges of epoll have told: no system call is made to learn what is known.
  bool may_read_ = false;   ///< False: what was there has been read, no edge has come since.
  bool has_ended_ = false;  ///< The end, or an error, lies behind what is left to read.
};

}  // namespace troupe::net
