// SPDX-License-Identifier: Apache-2.0
//
// tcpsock:sslhandshake: the part of a TCP cosocket that is TLS's.
//
// Source   "tcpsock:sslhandshake" of ngx_lua's README.
// Thread   that of the script.
#include <openssl/x509v3.h>

#include "lua/script.hpp"
#include "lua/socket_words.hpp"
#include "lua/tcp_socket.hpp"
#include "net/client_services.hpp"
#include "net/event_loop.hpp"

namespace troupe::lua {

tcp_socket::progress tcp_socket::handshake(net::tls_request wanted) {
  written = {};
  const net::tls_identity* identity = client()->identity();
  if (identity != nullptr && (reused_ == 0 || was_shaken_ || *identity == *wanted.identity)) {
    was_shaken_ = true;
    return progress::done;
  }
  if (!wanted.identity->name.empty()) {
    log_debug("lua ssl server name: \"" + wanted.identity->name + "\"");
  }
  tls_ = std::make_unique<net::tls_request>(std::move(wanted));
  return identity == nullptr ? begin_handshake() : exchange_pooled();
}

// The pool is by address. What it gave is another's: it stays there for those, unless places are short.
tcp_socket::progress tcp_socket::exchange_pooled() {
  const net::address to = client()->peer();
  auto other = pool_->take_of(*tls_->identity);
  stream_->watcher = nullptr;
  if (other.connection || !pool_->has_backlog()) {
    if (!other.connection) pool_->adopt();
    std::unique_ptr<net::client_stream> kept(static_cast<net::client_stream*>(stream_.release()));
    pool_->give(std::move(kept), reused_ - 1, settings().lua_socket_keepalive_timeout);
  }
  stream_.reset();
  reused_ = other.reused;
  if (!other.connection) {
    log_debug("lua ssl reconnect: the pooled connection is of another TLS identity");
    return connect_to(to);
  }
  stream_ = std::move(other.connection);
  stream_->watcher = this;
  was_shaken_ = true;
  tls_.reset();
  return progress::done;
}

tcp_socket::progress tcp_socket::begin_handshake() {
  if (tls_->session) log_debug("lua ssl set session: " + hex(tls_->session->get()));
  if (const char* error = client()->start_tls(*tls_)) {
    drop_stream();
    fail(error);
    return progress::done;
  }
  was_shaken_ = true;
  step_ = step::handshaking;
  return go_on_handshake();
}

tcp_socket::progress tcp_socket::go_on_handshake() {
  const net::io_result result = client()->handshake();
  if (result.would_block()) return progress::waiting;
  if (result.error) {
    const std::string& said = client()->tls_error();
    log_error((said.empty() ? std::string("peer closed connection in SSL handshake")
                            : "SSL_do_handshake() failed (SSL: " + said + ")") +
              ", upstream: " + peer_text());
    drop_stream();
    fail("handshake failed");
    return progress::done;
  }
  step_ = step::none;
  return verify_peer();
}

tcp_socket::progress tcp_socket::verify_peer() {
  const std::unique_ptr<net::tls_request> done = std::move(tls_);
  if (!done->identity->is_verified) return progress::done;
  const std::string& name = done->identity->name;
  SSL* tls = client()->tls();
  if (const long code = SSL_get_verify_result(tls); code != X509_V_OK) {
    const std::string text = std::to_string(code) + ": " + X509_verify_cert_error_string(code);
    log_error("lua ssl certificate verify error: (" + text + ")");
    drop_stream();
    fail(text);
    return progress::done;
  }
  if (!name.empty()) {
    X509* certificate = SSL_get0_peer_certificate(tls);
    const bool fits = certificate != nullptr &&
                      (X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1 ||
                       X509_check_ip_asc(certificate, name.c_str(), 0) == 1);
    if (!fits) {
      log_error("lua ssl certificate does not match host \"" + name + "\"");
      drop_stream();
      fail("certificate host mismatch");
    }
  }
  return progress::done;
}

}  // namespace troupe::lua
