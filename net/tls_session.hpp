// SPDX-License-Identifier: Apache-2.0
//
// Who a TLS connection is to and as whom, and the session by which the next one is cheaper.
//
// Source   SSL_CTX_sess_set_new_cb(3); RFC 8446 section 4.6.1: a ticket comes after the handshake.
// Thread   shard.
// Memory   references of OpenSSL's own counts; a session holds the peer's certificates.
// Called   by net/client_stream; lua/api/socket_tcp gives sessions to Lua.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace troupe::net {

/// A reference that counts as one of OpenSSL's.
std::shared_ptr<SSL_CTX> hold(SSL_CTX* context) noexcept;
std::shared_ptr<X509_STORE> hold(X509_STORE* store) noexcept;
std::shared_ptr<EVP_PKEY> hold(EVP_PKEY* key) noexcept;
std::shared_ptr<STACK_OF(X509)> hold(STACK_OF(X509) * chain) noexcept;

/// What a connection was made under. Another one must not be used in its stead.
struct tls_identity {
  std::shared_ptr<SSL_CTX> context;   ///< Protocols, ciphers, trust of the configuration.
  std::shared_ptr<X509_STORE> trust;  ///< Instead of the context's; null: that.
  std::string name;                   ///< Asked for by SNI; empty: none.
  std::string certificate;            ///< Fingerprint of the one we show; empty: the context's.
  bool is_verified = false;

  friend bool operator==(const tls_identity&, const tls_identity&) = default;
  /// The same but for verification, which every use of a session repeats.
  [[nodiscard]] bool has_session_of(const tls_identity& other) const noexcept;
};

/// The newest session of a connection: its first one, until the peer sends a ticket.
class tls_session {
public:
  explicit tls_session(std::shared_ptr<const tls_identity> made_under)
      : made_under_(std::move(made_under)) {}
  ~tls_session() { SSL_SESSION_free(session_); }
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  /// Takes the reference.
  void keep(SSL_SESSION* owned) noexcept;
  [[nodiscard]] SSL_SESSION* get() const noexcept { return session_; }
  [[nodiscard]] bool is_resumable() const noexcept;
  [[nodiscard]] const tls_identity& made_under() const noexcept { return *made_under_; }

private:
  std::shared_ptr<const tls_identity> made_under_;
  SSL_SESSION* session_ = nullptr;
};

/// What a handshake is told.
struct tls_request {
  std::shared_ptr<const tls_identity> identity;
  std::shared_ptr<const tls_session> session;  ///< Taken up if it is of this identity; or null.
  std::shared_ptr<STACK_OF(X509)> chain;       ///< Our certificate, then its issuers; or null.
  std::shared_ptr<EVP_PKEY> key;
  bool wants_status = false;                   ///< Ask for a stapled OCSP answer.
};

}  // namespace troupe::net
