// SPDX-License-Identifier: Apache-2.0
#include "net/header_map.hpp"

#include <algorithm>

namespace troupe::net {
namespace {
constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}
}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

const header_field* header_map::find(std::string_view name) const noexcept {
  for (const header_field& field : fields_) {
    if (equals_ignoring_case(field.name, name)) return &field;
  }
  return nullptr;
}

std::string_view header_map::value(std::string_view name) const noexcept {
  const header_field* field = find(name);
  return field != nullptr ? field->value : std::string_view{};
}

void header_map::set(std::string_view name, std::string_view value) {
  auto same = [&](const header_field& field) { return equals_ignoring_case(field.name, name); };
  auto first = std::find_if(fields_.begin(), fields_.end(), same);
  if (first == fields_.end()) {
    fields_.push_back({name, value});
    return;
  }
  *first = {name, value};
  fields_.erase(std::remove_if(first + 1, fields_.end(), same), fields_.end());
}

std::size_t header_map::remove(std::string_view name) noexcept {
  auto same = [&](const header_field& field) { return equals_ignoring_case(field.name, name); };
  auto kept = std::remove_if(fields_.begin(), fields_.end(), same);
  auto removed = static_cast<std::size_t>(fields_.end() - kept);
  fields_.erase(kept, fields_.end());
  return removed;
}

}  // namespace troupe::net
