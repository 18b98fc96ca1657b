// SPDX-License-Identifier: Apache-2.0
//
// A release in one piece: its manifest and contents, all or those that the receiver lacks. What
// `troupe apply` sends to the node.
//
// Source   msgpack's specification; docs/architecture.md, "Releases as bytes", has the layout.
// Thread   any; values.
// Errors   decode() takes bytes of strangers: bounded; a content that its manifest does not name,
// or
//          that comes twice, is `malformed`.
// Called   by runtime/deployment, the command line.
#pragma once

#include "cluster/digest.hpp"
#include "cluster/manifest.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

struct bundle {
  static constexpr std::uint64_t max_bytes = 1u << 30;

  manifest files;
  /// By digest, which decode() has computed; views into the bytes that were decoded.
  std::map<digest, std::string_view> contents;

  /// Contents of the manifest that are not in the bundle, each once, by digest.
  [[nodiscard]] std::vector<digest> missing() const;

  /// Contents that the manifest does not name are left out.
  [[nodiscard]] std::string encode() const;
  /// @param bytes  must outlive the result.
  [[nodiscard]] static tl::expected<bundle, refusal> decode(std::string_view bytes);
};

}  // namespace troupe::cluster
