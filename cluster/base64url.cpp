// SPDX-License-Identifier: Apache-2.0
#include "cluster/base64url.hpp"

#include <cstdint>

namespace troupe::cluster {
namespace {

constexpr std::string_view letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string to_base64url(std::string_view bytes) {
  std::string result;
  result.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char byte : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(byte);
    for (count += 8; count >= 6; count -= 6) result += letters[bits >> (count - 6) & 63];
  }
  if (count > 0) result += letters[bits << (6 - count) & 63];
  return result;
}

std::optional<std::string> from_base64url(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string result;
  result.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char letter : text) {
    const auto value = letters.find(letter);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      result += static_cast<char>(bits >> count);
    }
  }
  // One text for each value: the bits beyond the last byte are zeros.
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return result;
}

}  // namespace troupe::cluster
