// SPDX-License-Identifier: Apache-2.0
#include "net/client_stream.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>

namespace troupe::net {
namespace {
std::error_code last_error() noexcept { return {errno, std::generic_category()}; }
const std::error_code again = std::make_error_code(std::errc::operation_would_block);
}  // namespace

client_stream::~client_stream() {
  if (fd_) loop_.forget(fd_.get(), *this);
  if (tls_ && SSL_is_init_finished(tls_.get())) {
    // Our goodbye, without waiting for the peer's. After an error none may be sent.
    if (!tls_error_.empty()) SSL_set_quiet_shutdown(tls_.get(), 1);
    SSL_shutdown(tls_.get());
    ERR_clear_error();
  }
}

std::error_code client_stream::connect(const address& to, const options& how) noexcept {
  peer_ = to;
  fd_.reset(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return last_error();
  const int on = 1;
  if (how.is_transparent) ::setsockopt(fd_.get(), SOL_IP, IP_TRANSPARENT, &on, sizeof on);
  if (how.from.family() != AF_UNSPEC) {
    ::setsockopt(fd_.get(), SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (::bind(fd_.get(), how.from.raw(), how.from.size()) != 0) return last_error();
  }
  if (!to.is_unix()) set_nodelay(fd_.get());
  const bool has_connected = ::connect(fd_.get(), to.raw(), to.size()) == 0;
  if (!has_connected && errno != EINPROGRESS) return last_error();
  is_connecting_ = !has_connected;
  return loop_.watch(fd_.get(), *this, event_loop::readable | event_loop::writable);
}

std::error_code client_stream::connected() noexcept {
  if (!is_connecting_) return {};
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  int error = 0;
  socklen_t error_size = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &error_size);
  if (error != 0) return {error, std::generic_category()};
  if (::getpeername(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
    return errno == ENOTCONN ? again : last_error();
  }
  is_connecting_ = false;
  return {};
}

const char* client_stream::start_tls(const tls_request& wanted) noexcept {
  const tls_identity& identity = *wanted.identity;
  tls_.reset(SSL_new(identity.context.get()));
  if (!tls_ || SSL_set_fd(tls_.get(), fd_.get()) != 1) return "failed to create ssl connection";
  identity_ = wanted.identity;
  session_ = std::make_shared<tls_session>(identity_);
  SSL_set_app_data(tls_.get(), session_.get());
  SSL_set_connect_state(tls_.get());
  if (const tls_session* known = wanted.session.get();
      known != nullptr && known->is_resumable() && identity.has_session_of(known->made_under()) &&
      SSL_set_session(tls_.get(), known->get()) != 1) {
    return "ssl set session failed";
  }
  if (wanted.chain) {
    if (sk_X509_num(wanted.chain.get()) < 1) return "invalid client certificate chain";
    if (SSL_use_certificate(tls_.get(), sk_X509_value(wanted.chain.get(), 0)) != 1) {
      return "ssl set client certificate failed";
    }
    for (int i = 1; i < sk_X509_num(wanted.chain.get()); ++i) {
      if (SSL_add1_chain_cert(tls_.get(), sk_X509_value(wanted.chain.get(), i)) != 1) {
        return "ssl set client intermediate certificate failed";
      }
    }
    if (SSL_use_PrivateKey(tls_.get(), wanted.key.get()) != 1) {
      return "ssl set client private key failed";
    }
  }
  if (identity.trust && SSL_set1_verify_cert_store(tls_.get(), identity.trust.get()) != 1) {
    return "SSL_set1_verify_cert_store() failed";
  }
  if (!identity.name.empty() && SSL_set_tlsext_host_name(tls_.get(), identity.name.c_str()) != 1) {
    return "SSL_set_tlsext_host_name failed";
  }
  if (wanted.wants_status) SSL_set_tlsext_status_type(tls_.get(), TLSEXT_STATUSTYPE_ocsp);
  return nullptr;
}

io_result client_stream::tls_result(int result) noexcept {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return {0, again};
    case SSL_ERROR_ZERO_RETURN: return {};
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      return errno == 0 ? io_result{} : io_result{0, last_error()};
    default: break;
  }
  const unsigned long code = ERR_peek_error();
  char text[256] = {};
  ERR_error_string_n(code, text, sizeof text);
  tls_error_ = text;
  ERR_clear_error();
  // The peer closed without its goodbye, which many do.
  if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return {};
  return {0, std::make_error_code(std::errc::protocol_error)};
}

io_result client_stream::handshake() noexcept {
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(tls_.get());
  if (result == 1) {
    if (session_->get() == nullptr) session_->keep(SSL_get1_session(tls_.get()));
    return {1, {}};
  }
  io_result failed = tls_result(result);
  if (!failed.error) {
    failed.error = std::make_error_code(std::errc::connection_reset);
    tls_error_.clear();  // It is gone, without a word of TLS's.
  }
  return failed;
}

io_result client_stream::read(std::span<char> into) noexcept {
  if (!tls_) {
    if (!may_read_) return {0, again};
    const io_result result = receive(fd_.get(), into);
    // A short read has emptied the socket: what comes later comes with an edge of its own.
    const bool is_short = !result.error && result.bytes > 0 && result.bytes < into.size();
    if (result.would_block() || (is_short && !has_ended_)) may_read_ = false;
    return result;
  }
  ERR_clear_error();
  errno = 0;
  const int result = SSL_read(tls_.get(), into.data(), static_cast<int>(into.size()));
  if (result > 0) return {static_cast<std::size_t>(result), {}};
  return tls_result(result);
}

io_result client_stream::write(std::span<const iovec> pieces) noexcept {
  if (!tls_) return send(fd_.get(), pieces);
  std::size_t total = 0;
  for (const iovec& piece : pieces) {
    if (piece.iov_len == 0) continue;
    ERR_clear_error();
    errno = 0;
    const int result = SSL_write(tls_.get(), piece.iov_base, static_cast<int>(piece.iov_len));
    if (result <= 0) {
      if (total > 0) return {total, {}};
      io_result failed = tls_result(result);
      if (!failed.error) failed.error = std::make_error_code(std::errc::broken_pipe);
      return failed;
    }
    total += static_cast<std::size_t>(result);
    if (static_cast<std::size_t>(result) < piece.iov_len) break;
  }
  return {total, {}};
}

client_stream::rest client_stream::look() noexcept {
  if (!tls_ && !may_read_) return rest::quiet;  // The loop would have told.
  char byte = 0;
  const ssize_t n = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n == 0) return rest::ended;
  const bool is_empty = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  if (n < 0 && !is_empty) return rest::ended;
  if (is_empty) may_read_ = false;
  if (!tls_) return is_empty ? rest::quiet : rest::unread;
  if (is_empty && SSL_pending(tls_.get()) == 0) return rest::quiet;
  // It may be no data but a ticket, which is read by looking for data.
  ERR_clear_error();
  const int got = SSL_peek(tls_.get(), &byte, 1);
  if (got > 0) return rest::unread;
  const bool is_waiting = SSL_get_error(tls_.get(), got) == SSL_ERROR_WANT_READ;
  ERR_clear_error();
  return is_waiting ? rest::quiet : rest::ended;
}

void client_stream::on_io(std::uint32_t events) noexcept {
  if ((events & ~std::uint32_t{EPOLLOUT}) != 0) may_read_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) has_ended_ = true;
  if (watcher != nullptr) watcher->on_ready();
}

}  // namespace troupe::net
