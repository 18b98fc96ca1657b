// SPDX-License-Identifier: Apache-2.0
//
// Which nodes something is for: all, those with labels, and of these a stable share by their names.
// `zone=eu,tier=web`, `20%`, `zone=eu,20%`.
//
// Source   docs/cluster.md, "Labels".
// Thread   any; a value.
// Errors   parse() says what is wrong with the text.
// Called   by cluster/order, cluster/cluster_state, the command line.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::cluster {

using label_map = std::map<std::string, std::string, std::less<>>;

/// `zone=eu`, as `--label` takes it.
[[nodiscard]] tl::expected<std::pair<std::string, std::string>, refusal> parse_label(
    std::string_view text);

struct selector {
  static constexpr std::size_t max_labels = 64;
  static constexpr std::size_t max_label_bytes = 128;  ///< Of a name, and of a value.
  static constexpr std::size_t max_salt_bytes = 64;

  label_map labels;        ///< All of them must be the node's.
  unsigned percent = 100;  ///< 1 to 100, of the nodes by a hash of name and salt.
  std::string salt;        ///< A push's id, so that not always the same nodes go first.

  [[nodiscard]] bool is_everyone() const noexcept { return labels.empty() && percent == 100; }
  [[nodiscard]] bool matches(std::string_view node_name, const label_map& of_node) const;

  /// The least share, in percent, that takes a node of this name.
  [[nodiscard]] unsigned least_percent(std::string_view node_name) const;
  /// Whether every node that the other matches is matched, as far as they alone can tell.
  [[nodiscard]] bool covers(const selector& other) const;

  [[nodiscard]] std::string text() const;  ///< Without the salt; empty: everyone.
  [[nodiscard]] static tl::expected<selector, refusal> parse(std::string_view text);

  auto operator<=>(const selector&) const = default;
};

}  // namespace troupe::cluster
