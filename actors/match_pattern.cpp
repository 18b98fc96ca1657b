// SPDX-License-Identifier: Apache-2.0
#include "actors/match_pattern.hpp"

#include <array>

namespace troupe::actors {

bool match_pattern(const lua::regex& pattern, std::string_view subject, net::exchange& x,
                   const net::variable_table& variables) {
  constexpr int most_groups = 30;
  std::array<std::size_t, 2 * most_groups> offsets{};
  if (pattern.match(subject, 0, 0, offsets) < 1) return false;
  const std::string_view kept = x.keep(subject);
  auto group = [&](int number) -> std::string_view {
    const auto at = static_cast<std::size_t>(number) * 2;
    if (number >= most_groups || offsets[at] == PCRE2_UNSET) return {};
    return kept.substr(offsets[at], offsets[at + 1] - offsets[at]);
  };
  x.captures.clear();
  for (int i = 0; i <= pattern.capture_count() && i < 10; ++i) x.captures.push_back(group(i));
  for (const auto& [number, variable] : pattern.variables) variables.set(x, variable, group(number));
  return true;
}

}  // namespace troupe::actors
