// SPDX-License-Identifier: Apache-2.0
#include "net/base64.hpp"

#include <array>
#include <cstdint>

namespace troupe::net {
namespace {

constexpr std::string_view standard_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t outside = 64;
using sextets = std::array<std::uint8_t, 256>;

constexpr sextets invert(std::string_view alphabet) {
  sextets table{};
  for (auto& entry : table) entry = outside;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}

constexpr sextets standard_sextets = invert(standard_alphabet);
constexpr sextets url_sextets = invert(url_alphabet);

}  // namespace

std::size_t encode_base64(char* out, std::string_view text, base64_form form,
                          bool padded) noexcept {
  const char* const digits =
      form == base64_form::url ? url_alphabet.data() : standard_alphabet.data();
  const auto* in = reinterpret_cast<const unsigned char*>(text.data());
  char* to = out;
  std::size_t left = text.size();
  for (; left >= 3; left -= 3, in += 3) {
    const std::uint32_t bits = std::uint32_t{in[0]} << 16 | std::uint32_t{in[1]} << 8 | in[2];
    *to++ = digits[bits >> 18];
    *to++ = digits[bits >> 12 & 63];
    *to++ = digits[bits >> 6 & 63];
    *to++ = digits[bits & 63];
  }
  if (left > 0) {
    const std::uint32_t bits =
        std::uint32_t{in[0]} << 16 | (left == 2 ? std::uint32_t{in[1]} << 8 : 0);
    *to++ = digits[bits >> 18];
    *to++ = digits[bits >> 12 & 63];
    if (left == 2) *to++ = digits[bits >> 6 & 63];
    if (padded) {
      if (left == 1) *to++ = '=';
      *to++ = '=';
    }
  }
  return static_cast<std::size_t>(to - out);
}

std::optional<std::size_t> decode_base64(char* out, std::string_view text,
                                         base64_form form) noexcept {
  const sextets& table = form == base64_form::url ? url_sextets : standard_sextets;
  char* to = out;
  // Four at a time as long as all of them are of the alphabet.
  while (text.size() >= 4) {
    const std::uint32_t a = table[static_cast<unsigned char>(text[0])];
    const std::uint32_t b = table[static_cast<unsigned char>(text[1])];
    const std::uint32_t c = table[static_cast<unsigned char>(text[2])];
    const std::uint32_t d = table[static_cast<unsigned char>(text[3])];
    if (((a | b | c | d) & outside) != 0) break;
    const std::uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    *to++ = static_cast<char>(bits >> 16);
    *to++ = static_cast<char>(bits >> 8);
    *to++ = static_cast<char>(bits);
    text.remove_prefix(4);
  }
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const std::uint8_t sextet = table[static_cast<unsigned char>(c)];
    if (sextet == outside) {
      if (form == base64_form::mime) continue;
      return std::nullopt;
    }
    bits = bits << 6 | sextet;
    if (++count == 4) {
      *to++ = static_cast<char>(bits >> 16);
      *to++ = static_cast<char>(bits >> 8);
      *to++ = static_cast<char>(bits);
      bits = 0;
      count = 0;
    }
  }
  if (count == 1) return std::nullopt;
  if (count == 2) *to++ = static_cast<char>(bits >> 4);
  if (count == 3) {
    *to++ = static_cast<char>(bits >> 10);
    *to++ = static_cast<char>(bits >> 2);
  }
  return static_cast<std::size_t>(to - out);
}

}  // namespace troupe::net
