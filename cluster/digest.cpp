// SPDX-License-Identifier: Apache-2.0
// The parts of SHA-256 and not SHA256() or EVP: these look the algorithm up at each call, and the first
// one sets the whole library up, which takes a client longer than what it does.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "cluster/digest.hpp"

#include <openssl/sha.h>

namespace troupe::cluster {
namespace {

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

constexpr std::string_view scheme = "sha256:";

}  // namespace

digest digest::of(std::string_view content) {
  digest result;
  SHA256_CTX hash;
  SHA256_Init(&hash);
  SHA256_Update(&hash, content.data(), content.size());
  SHA256_Final(result.bytes.data(), &hash);
  return result;
}

std::optional<digest> digest::parse(std::string_view text) {
  if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  digest result;
  if (text.size() != 2 * result.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < result.bytes.size(); ++i) {
    const int high = nibble(text[2 * i]);
    const int low = nibble(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    result.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return result;
}

std::optional<digest> digest::from_bytes(std::string_view raw) {
  digest result;
  if (raw.size() != result.bytes.size()) return std::nullopt;
  std::memcpy(result.bytes.data(), raw.data(), raw.size());
  return result;
}

std::string digest::hex() const {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  result.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  return result;
}

std::string digest::text() const {
  return std::string(scheme) + hex();
}

}  // namespace troupe::cluster
