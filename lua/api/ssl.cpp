// SPDX-License-Identifier: Apache-2.0
//
// ngx.ssl, as far as it needs no TLS connection of a client: certificates and keys, PEM and DER.
//
// Source   lib/ngx/ssl.md of lua-resty-core; PEM_read_bio_X509(3), d2i_X509(3).
// Thread   any.
// Memory   what is parsed is Lua's, by ffi.gc.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstring>
#include <memory>

extern "C" {
#include "lua/api/ssl.ffi.h"
}

#include "lua/api/areas.hpp"

namespace troupe::lua {
namespace {

struct openssl_free {
  void operator()(BIO* one) const noexcept { BIO_free(one); }
  void operator()(X509* one) const noexcept { X509_free(one); }
  void operator()(EVP_PKEY* one) const noexcept { EVP_PKEY_free(one); }
  void operator()(STACK_OF(X509) * one) const noexcept { sk_X509_pop_free(one, X509_free); }
};
template <class T>
using owned = std::unique_ptr<T, openssl_free>;

owned<BIO> open(const char* bytes, std::size_t size) {
  return owned<BIO>(BIO_new_mem_buf(bytes, static_cast<int>(size)));
}

template <class T = void>
T* fail(const char** error, const char* text) noexcept {
  *error = text;
  ERR_clear_error();
  return nullptr;
}

int refuse(const char** error, const char* text) noexcept {
  fail<>(error, text);
  return -1;
}

// Without one OpenSSL would ask the terminal.
int give_passphrase(char* room, int room_bytes, int, void* passphrase) {
  if (passphrase == nullptr) return -1;
  const auto size = std::strlen(static_cast<const char*>(passphrase));
  if (size > static_cast<std::size_t>(room_bytes)) return -1;
  std::memcpy(room, passphrase, size);
  return static_cast<int>(size);
}

// Whether reading PEM ended because there is no more of it.
bool is_at_end() noexcept {
  const unsigned long code = ERR_peek_last_error();
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

int cert_pem_to_der(const char* pem, std::size_t size, char* room, const char** error) {
  const auto in = open(pem, size);
  if (!in) return refuse(error, "BIO_new_mem_buf() failed");
  auto* out = reinterpret_cast<unsigned char*>(room);
  owned<X509> one(PEM_read_bio_X509_AUX(in.get(), nullptr, give_passphrase, nullptr));
  if (!one) return refuse(error, "PEM_read_bio_X509_AUX() failed");
  do {
    if (i2d_X509(one.get(), &out) < 0) return refuse(error, "i2d_X509() failed");
    one.reset(PEM_read_bio_X509(in.get(), nullptr, give_passphrase, nullptr));
  } while (one);
  if (!is_at_end()) return refuse(error, "PEM_read_bio_X509() failed");
  ERR_clear_error();
  return static_cast<int>(reinterpret_cast<char*>(out) - room);
}

int key_pem_to_der(const char* pem, std::size_t size, const char* passphrase, char* room,
                   const char** error) {
  const auto in = open(pem, size);
  if (!in) return refuse(error, "BIO_new_mem_buf() failed");
  const owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, give_passphrase,
                                                    const_cast<char*>(passphrase)));
  if (!key) return refuse(error, "PEM_read_bio_PrivateKey() failed");
  const int needed = i2d_PrivateKey(key.get(), nullptr);
  auto* out = reinterpret_cast<unsigned char*>(room);
  if (needed < 0 || static_cast<std::size_t>(needed) > size || i2d_PrivateKey(key.get(), &out) < 0) {
    return refuse(error, "i2d_PrivateKey() failed");
  }
  ERR_clear_error();
  return needed;
}

void* parse_pem_cert(const char* pem, std::size_t size, const char** error) {
  const auto in = open(pem, size);
  if (!in) return fail(error, "BIO_new_mem_buf() failed");
  owned<STACK_OF(X509)> chain(sk_X509_new_null());
  if (!chain) return fail(error, "sk_X509_new_null() failed");
  X509* one = PEM_read_bio_X509_AUX(in.get(), nullptr, give_passphrase, nullptr);
  if (one == nullptr) return fail(error, "PEM_read_bio_X509_AUX() failed");
  for (; one != nullptr; one = PEM_read_bio_X509(in.get(), nullptr, give_passphrase, nullptr)) {
    if (sk_X509_push(chain.get(), one) == 0) {
      X509_free(one);
      return fail(error, "sk_X509_push() failed");
    }
  }
  if (!is_at_end()) return fail(error, "PEM_read_bio_X509() failed");
  ERR_clear_error();
  return chain.release();
}

void* parse_der_cert(const char* der, std::size_t size, const char** error) {
  if (size == 0) return fail(error, "invalid argument");
  owned<STACK_OF(X509)> chain(sk_X509_new_null());
  if (!chain) return fail(error, "sk_X509_new_null() failed");
  const auto* at = reinterpret_cast<const unsigned char*>(der);
  const auto* end = at + size;
  while (at < end) {
    const bool is_first = sk_X509_num(chain.get()) == 0;
    X509* one = d2i_X509(nullptr, &at, static_cast<long>(end - at));
    if (one == nullptr) {
      return fail(error, is_first ? "d2i_X509_bio() failed" : "d2i_X509_bio() failed in rest of chain");
    }
    if (sk_X509_push(chain.get(), one) == 0) {
      X509_free(one);
      return fail(error, is_first ? "sk_X509_push() failed" : "sk_X509_push() failed in rest of chain");
    }
  }
  return chain.release();
}

void* parse_pem_key(const char* pem, std::size_t size, const char** error) {
  const auto in = open(pem, size);
  if (!in) return fail(error, "BIO_new_mem_buf() failed");
  EVP_PKEY* key = PEM_read_bio_PrivateKey(in.get(), nullptr, give_passphrase, nullptr);
  if (key == nullptr) return fail(error, "PEM_read_bio_PrivateKey() failed");
  ERR_clear_error();
  return key;
}

void* parse_der_key(const char* der, std::size_t size, const char** error) {
  if (size == 0) return fail(error, "invalid argument");
  const auto in = open(der, size);
  if (!in) return fail(error, "BIO_new_mem_buf() failed");
  EVP_PKEY* key = d2i_PrivateKey_bio(in.get(), nullptr);
  if (key == nullptr) return fail(error, "d2i_PrivateKey_bio() failed");
  ERR_clear_error();
  return key;
}

void free_cert(void* chain) { openssl_free()(static_cast<STACK_OF(X509)*>(chain)); }
void free_key(void* key) { openssl_free()(static_cast<EVP_PKEY*>(key)); }

constexpr troupe_ffi_ssl table{.cert_pem_to_der = cert_pem_to_der,
                               .key_pem_to_der = key_pem_to_der,
                               .parse_pem_cert = parse_pem_cert,
                               .parse_der_cert = parse_der_cert,
                               .parse_pem_key = parse_pem_key,
                               .parse_der_key = parse_der_key,
                               .free_cert = free_cert,
                               .free_key = free_key};

}  // namespace

const api_area ssl_area{.name = "ssl",
                        .cdef =
                            {
#include "lua/api/ssl.ffi.h.inc"
                            },
                        .table = &table,
                        .source =
                            {
#include "lua/api/ssl.lua.inc"
                            },
                        .functions = nullptr};

}  // namespace troupe::lua
