// SPDX-License-Identifier: Apache-2.0
#include "net/tls_session.hpp"

namespace troupe::net {

std::shared_ptr<SSL_CTX> hold(SSL_CTX* context) noexcept {
  if (context != nullptr) SSL_CTX_up_ref(context);
  return {context, SSL_CTX_free};
}

std::shared_ptr<X509_STORE> hold(X509_STORE* store) noexcept {
  if (store == nullptr) return nullptr;
  X509_STORE_up_ref(store);
  return {store, X509_STORE_free};
}

std::shared_ptr<EVP_PKEY> hold(EVP_PKEY* key) noexcept {
  if (key == nullptr) return nullptr;
  EVP_PKEY_up_ref(key);
  return {key, EVP_PKEY_free};
}

std::shared_ptr<STACK_OF(X509)> hold(STACK_OF(X509) * chain) noexcept {
  if (chain == nullptr) return nullptr;
  return {X509_chain_up_ref(chain), [](STACK_OF(X509) * one) { sk_X509_pop_free(one, X509_free); }};
}

bool tls_identity::has_session_of(const tls_identity& other) const noexcept {
  return context == other.context && trust == other.trust && name == other.name &&
         certificate == other.certificate;
}

void tls_session::keep(SSL_SESSION* owned) noexcept {
  SSL_SESSION_free(session_);
  session_ = owned;
}

bool tls_session::is_resumable() const noexcept {
  return session_ != nullptr && SSL_SESSION_is_resumable(session_) == 1;
}

}  // namespace troupe::net
