// SPDX-License-Identifier: Apache-2.0
//
// Whether canaries do well enough: "errors>1%" of their requests. Sums over the time of the watch,
// so that one node's quiet second says nothing.
//
// Source   docs/cluster.md, "A push".
// Thread   any; a value.
// Errors   parse() says what is wrong with the text.
// Called   by cluster/push_progress, cluster/controller.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>

namespace troupe::cluster {

class canary_gate {
 public:
  /// Empty: never shut.
  [[nodiscard]] static tl::expected<canary_gate, refusal> parse(std::string_view text);

  /// A node's rates, as it last said.
  void add(double requests_per_second, double errors_per_second);
  /// Why the push must stop; empty: it may go on.
  [[nodiscard]] std::string shut() const;

 private:
  bool is_set_ = false;
  double max_percent_ = 0;
  double requests_ = 0;
  double errors_ = 0;
};

}  // namespace troupe::cluster
