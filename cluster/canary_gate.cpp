// SPDX-License-Identifier: Apache-2.0
#include "cluster/canary_gate.hpp"

#include <array>
#include <charconv>
#include <cstdio>

namespace troupe::cluster {

tl::expected<canary_gate, refusal> canary_gate::parse(std::string_view text) {
  canary_gate result;
  if (text.empty()) return result;
  constexpr std::string_view prefix = "errors>";
  std::string_view number = text;
  double percent = -1;
  if (number.starts_with(prefix) && number.ends_with('%')) {
    number.remove_prefix(prefix.size());
    number.remove_suffix(1);
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), percent);
    if (error != std::errc() || end != number.data() + number.size()) percent = -1;
  }
  if (!(percent >= 0 && percent <= 100)) {
    return tl::unexpected(refusal{.errc = refusal_errc::malformed,
                                  .reason = "a gate is \"errors>N%\" with N from 0 to 100, not \"" +
                                            std::string(text) + '"'});
  }
  result.is_set_ = true;
  result.max_percent_ = percent;
  return result;
}

void canary_gate::add(double requests_per_second, double errors_per_second) {
  // What a node says of itself is not trusted to be a number.
  if (!(requests_per_second >= 0) || !(errors_per_second >= 0)) return;
  requests_ += requests_per_second;
  errors_ += errors_per_second;
}

std::string canary_gate::shut() const {
  if (!is_set_ || errors_ <= 0) return {};
  const double percent = requests_ > errors_ ? 100 * errors_ / requests_ : 100;
  if (percent <= max_percent_) return {};
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "%.2f%% of the canaries' requests failed, more than %g%%",
                percent, max_percent_);
  return text.data();
}

}  // namespace troupe::cluster
