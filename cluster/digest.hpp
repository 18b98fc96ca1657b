// SPDX-License-Identifier: Apache-2.0
//
// The name of some bytes: their SHA-256. Files, manifests and thereby releases are called by it.
//
// Source   FIPS 180-4; the text is `sha256:HEX`.
// Thread   any; a value.
// Called   by all of cluster/, runtime/release_store, runtime/deployment.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::cluster {

struct digest {
  std::array<std::uint8_t, 32> bytes{};

  static digest of(std::string_view content);
  /// Of `sha256:HEX` or HEX alone, in lower case.
  static std::optional<digest> parse(std::string_view text);
  /// Of the 32 bytes themselves.
  static std::optional<digest> from_bytes(std::string_view raw);

  [[nodiscard]] std::string text() const;  ///< "sha256:" and 64 hex digits.
  [[nodiscard]] std::string hex() const;
  [[nodiscard]] std::string_view raw() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  auto operator<=>(const digest&) const = default;
};

}  // namespace troupe::cluster

template <>
struct std::hash<troupe::cluster::digest> {
  std::size_t operator()(const troupe::cluster::digest& name) const noexcept {
    std::size_t value = 0;
    std::memcpy(&value, name.bytes.data(), sizeof value);
    return value;
  }
};
