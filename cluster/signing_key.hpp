// SPDX-License-Identifier: Apache-2.0
//
// Ed25519: who ordered something. A key is called by its public half.
//
// Source   RFC 8032; OpenSSL's EVP_DigestSign, libsodium's crypto_sign_verify_detached. In files and on the command line a public key is
//          "ed25519:" and 43 characters of unpadded base64url; private keys are PKCS#8 PEM, 0600.
// Thread   any; values. verify() takes some 45 µs: not for a shard.
// Called   by cluster/order, cluster/controller, `troupe keys`.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::cluster {

struct public_key {
  std::array<std::uint8_t, 32> bytes{};

  [[nodiscard]] std::string text() const;
  static std::optional<public_key> parse(std::string_view text);
  static std::optional<public_key> from_bytes(std::string_view raw);
  [[nodiscard]] std::string_view raw() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// @param context  what kind of thing was signed ("troupe order 1"), so that a signature of one
  ///                 kind is none of another.
  [[nodiscard]] bool verify(std::string_view context, std::string_view message,
                            std::string_view signature) const;
  auto operator<=>(const public_key&) const = default;
};

class signing_key {
 public:
  [[nodiscard]] static tl::expected<signing_key, refusal> make();
  /// A file that others may read is refused.
  [[nodiscard]] static tl::expected<signing_key, refusal> load(const std::string& path);
  /// A new file, 0600, synced; never over one that is there.
  [[nodiscard]] tl::expected<void, refusal> save(const std::string& path) const;

  [[nodiscard]] const public_key& id() const noexcept { return public_; }
  [[nodiscard]] std::string sign(std::string_view context, std::string_view message) const;

 private:
  struct key;
  signing_key() = default;
  [[nodiscard]] static tl::expected<signing_key, refusal> of(std::shared_ptr<const key> from);
  std::shared_ptr<const key> key_;
  public_key public_;
};

}  // namespace troupe::cluster
