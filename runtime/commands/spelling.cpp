// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/spelling.hpp"

#include "runtime/conf/edit_distance.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

std::vector<std::string_view> nearest(std::string_view word,
                                      std::span<const std::string_view> candidates) {
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (std::string_view candidate : candidates) {
    const std::size_t limit = std::clamp<std::size_t>(candidate.size() / 2, 1, 3);
    const std::size_t edits = conf::edit_distance(word, candidate, limit);
    if (edits <= limit && edits < candidate.size()) near.emplace_back(edits, candidate);
  }
  std::ranges::stable_sort(near, {}, &decltype(near)::value_type::first);
  std::vector<std::string_view> names;
  for (const auto& [edits, name] : near) names.push_back(name);
  return names;
}

}  // namespace troupe
