// SPDX-License-Identifier: Apache-2.0
#include "cluster/signing_key.hpp"

#include "cluster/base64url.hpp"
#include "cluster/private_file.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

#include <cstring>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr std::string_view scheme = "ed25519:";
constexpr std::size_t signature_bytes = 64;
constexpr std::size_t max_file_bytes = 4096;

struct free_key {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
struct free_context {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
struct free_bio {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using pkey_ptr = std::unique_ptr<EVP_PKEY, free_key>;
using context_ptr = std::unique_ptr<EVP_MD_CTX, free_context>;
using bio_ptr = std::unique_ptr<BIO, free_bio>;

const unsigned char* as_unsigned(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

/// What is signed: the context, a NUL, which no context has, the message.
std::string framed(std::string_view context, std::string_view message) {
  std::string result;
  result.reserve(context.size() + 1 + message.size());
  result += context;
  result += '\0';
  result += message;
  return result;
}

tl::unexpected<refusal> failed(std::string reason, const std::string& file = {}) {
  return tl::unexpected(
      refusal{.errc = refusal_errc::io, .reason = std::move(reason), .file = file});
}

/// No pass phrase is asked for on a terminal: an encrypted key is no key.
int no_pass_phrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

struct signing_key::key {
  pkey_ptr pkey;
};

std::string public_key::text() const {
  return std::string(scheme) + to_base64url(raw());
}

std::optional<public_key> public_key::parse(std::string_view text) {
  if (!text.starts_with(scheme)) return std::nullopt;
  const auto raw = from_base64url(text.substr(scheme.size()));
  return raw ? from_bytes(*raw) : std::nullopt;
}

std::optional<public_key> public_key::from_bytes(std::string_view raw) {
  public_key result;
  if (raw.size() != result.bytes.size()) return std::nullopt;
  std::memcpy(result.bytes.data(), raw.data(), raw.size());
  return result;
}

bool public_key::verify(std::string_view context, std::string_view message,
                        std::string_view signature) const {
  if (signature.size() != signature_bytes) return false;
  const std::string whole = framed(context, message);
  // In about half of OpenSSL's time, and it is what a node does most.
  return crypto_sign_verify_detached(as_unsigned(signature), as_unsigned(whole), whole.size(),
                                     bytes.data()) == 0;
}

tl::expected<signing_key, refusal> signing_key::of(std::shared_ptr<const key> from) {
  signing_key result;
  std::size_t size = result.public_.bytes.size();
  if (EVP_PKEY_get_id(from->pkey.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(from->pkey.get(), result.public_.bytes.data(), &size) != 1 ||
      size != result.public_.bytes.size()) {
    return failed("no Ed25519 key");
  }
  result.key_ = std::move(from);
  return result;
}

tl::expected<signing_key, refusal> signing_key::make() {
  pkey_ptr pkey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!pkey) return failed("OpenSSL made no Ed25519 key");
  return of(std::make_shared<key>(key{std::move(pkey)}));
}

tl::expected<signing_key, refusal> signing_key::load(const std::string& path) {
  auto pem = read_private(path, max_file_bytes);
  if (!pem) return tl::unexpected(std::move(pem.error()));
  const bio_ptr bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  pkey_ptr pkey(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_pass_phrase, nullptr)
                    : nullptr);
  OPENSSL_cleanse(pem->data(), pem->size());
  auto result = pkey ? of(std::make_shared<key>(key{std::move(pkey)})) : failed("");
  if (!result) {
    return tl::unexpected(refusal{
        .errc = refusal_errc::malformed,
        .reason = '"' + path + "\" is no Ed25519 private key in PEM (PKCS#8) without pass phrase",
        .file = path});
  }
  return result;
}

tl::expected<void, refusal> signing_key::save(const std::string& path) const {
  const bio_ptr bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_->pkey.get(), nullptr, nullptr, 0,
                                            nullptr, nullptr) != 1) {
    return failed("OpenSSL could not write the key", path);
  }
  char* pem = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &pem);
  return write_private(path, {pem, static_cast<std::size_t>(size)});
}

std::string signing_key::sign(std::string_view context, std::string_view message) const {
  const std::string whole = framed(context, message);
  const context_ptr how(EVP_MD_CTX_new());
  std::string result(signature_bytes, '\0');
  std::size_t size = result.size();
  // Ed25519 draws no random number and touches no file: only a lack of memory fails here, and then
  // the empty signature is refused by whoever gets it.
  if (!how || EVP_DigestSignInit(how.get(), nullptr, nullptr, nullptr, key_->pkey.get()) != 1 ||
      EVP_DigestSign(how.get(), reinterpret_cast<unsigned char*>(result.data()), &size,
                     as_unsigned(whole), whole.size()) != 1) {
    return {};
  }
  return result;
}

}  // namespace troupe::cluster
