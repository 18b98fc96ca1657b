// SPDX-License-Identifier: Apache-2.0
//
// CURVE keys: who a link belongs to. Every node has a pair of its own, made at its first start.
//
// Source   libzmq's zmq_curve(7); text is Z85 (ZeroMQ RFC 32), 40 characters.
// Thread   any; values.
// Called   by cluster/links, `troupe keys`.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>

namespace troupe::cluster {

struct curve_pair {
  std::string public_key;  ///< Z85.
  std::string secret_key;

  [[nodiscard]] static tl::expected<curve_pair, refusal> make();
  /// The pair of a secret key.
  [[nodiscard]] static tl::expected<curve_pair, refusal> of_secret(std::string_view secret);
  /// A file with the secret key that nobody else may read.
  [[nodiscard]] static tl::expected<curve_pair, refusal> load(const std::string& path);
  /// A new file, 0600, synced; never over one that is there.
  [[nodiscard]] tl::expected<void, refusal> save(const std::string& path) const;
  /// Made if there is none.
  [[nodiscard]] static tl::expected<curve_pair, refusal> load_or_make(const std::string& path);
};

[[nodiscard]] bool is_curve_key(std::string_view text);

}  // namespace troupe::cluster
