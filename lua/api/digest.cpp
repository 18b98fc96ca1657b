// SPDX-License-Identifier: Apache-2.0
//
// ngx.md5, ngx.md5_bin, ngx.sha1_bin, ngx.hmac_sha1, ngx.crc32_short, ngx.crc32_long.
//
// Source   the headings of these names in ngx_lua's README; RFC 2104.
//
// OpenSSL's plain functions are deprecated in favour of EVP, which looks the algorithm up and
// allocates for each call; a digest of a short key then costs several times as much. SHA1() itself
// goes through EVP.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {
#include "lua/api/digest.ffi.h"
}

#include "lua/api/areas.hpp"

namespace troupe::lua {
namespace {

const unsigned char* bytes(const char* text) noexcept {
  return reinterpret_cast<const unsigned char*>(text);
}

void md5(const char* text, std::size_t size, unsigned char* out) noexcept {
  ::MD5(bytes(text), size, out);
}

void md5_hex(const char* text, std::size_t size, char* out) noexcept {
  static constexpr char digits[] = "0123456789abcdef";
  std::array<unsigned char, MD5_DIGEST_LENGTH> digest{};
  ::MD5(bytes(text), size, digest.data());
  for (const unsigned char byte : digest) {
    *out++ = digits[byte >> 4];
    *out++ = digits[byte & 15];
  }
}

void sha1(const char* text, std::size_t size, unsigned char* out) noexcept {
  SHA_CTX context;
  ::SHA1_Init(&context);
  ::SHA1_Update(&context, text, size);
  ::SHA1_Final(out, &context);
}

void hmac_sha1(const char* key, std::size_t key_size, const char* text, std::size_t size,
               unsigned char* out) noexcept {
  std::array<unsigned char, SHA_CBLOCK> block{};
  if (key_size > block.size()) {
    sha1(key, key_size, block.data());
  } else {
    std::memcpy(block.data(), key, key_size);
  }
  SHA_CTX inner;
  ::SHA1_Init(&inner);
  for (auto& byte : block) byte ^= 0x36;
  ::SHA1_Update(&inner, block.data(), block.size());
  ::SHA1_Update(&inner, text, size);
  ::SHA1_Final(out, &inner);

  SHA_CTX outer;
  ::SHA1_Init(&outer);
  for (auto& byte : block) byte ^= 0x36 ^ 0x5c;
  ::SHA1_Update(&outer, block.data(), block.size());
  ::SHA1_Update(&outer, out, SHA_DIGEST_LENGTH);
  ::SHA1_Final(out, &outer);
}

std::uint32_t crc32(const char* text, std::size_t size) noexcept {
  return static_cast<std::uint32_t>(::crc32_z(0, bytes(text), size));
}

constexpr troupe_ffi_digest table{
    .md5 = md5, .md5_hex = md5_hex, .sha1 = sha1, .hmac_sha1 = hmac_sha1, .crc32 = crc32};

}  // namespace

const api_area digest_area{.name = "digest",
                           .cdef =
                               {
#include "lua/api/digest.ffi.h.inc"
                               },
                           .table = &table,
                           .source =
                               {
#include "lua/api/digest.lua.inc"
                               },
                           .functions = nullptr};

}  // namespace troupe::lua
