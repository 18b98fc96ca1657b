// SPDX-License-Identifier: Apache-2.0
//
// Base64 as ngx.encode_base64, ngx.decode_base64, ngx.decode_base64mime and ngx.base64 do it.
//
// Source   RFC 4648 sections 4 and 5, RFC 2045 section 6.8.
// Thread   any.
// Memory   the caller gives the output, of at least the size that the size functions say.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace troupe::net {

enum class base64_form {
  standard,  ///< "+/", padding optional when decoding.
  url,       ///< "-_"; encoded without padding.
  mime       ///< Decoding only: bytes outside the alphabet are skipped.
};

constexpr std::size_t base64_encoded_size(std::size_t size, bool padded) noexcept {
  return padded ? (size + 2) / 3 * 4 : size / 3 * 4 + (size % 3 * 4 + 2) / 3;
}
constexpr std::size_t base64_decoded_size(std::size_t size) noexcept {
  return (size + 3) / 4 * 3;
}

/// @return the bytes written: base64_encoded_size(text.size(), padded).
std::size_t encode_base64(char* out, std::string_view text, base64_form form, bool padded) noexcept;

/// Stops at the first `=`.
/// @return the bytes written; none for a byte outside the alphabet (but in mime) or a single
///         character left over.
std::optional<std::size_t> decode_base64(char* out, std::string_view text,
                                         base64_form form) noexcept;

}  // namespace troupe::net
