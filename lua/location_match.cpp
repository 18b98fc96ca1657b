// SPDX-License-Identifier: Apache-2.0
#include "lua/location_match.hpp"

#include <algorithm>

namespace troupe::lua {

tl::expected<location_match, location_match::duplicate> location_match::compile(
    std::span<const location_entry> entries) {
  location_match compiled;
  if (auto top = compiled.compile_level(entries); !top) return tl::unexpected(top.error());
  return compiled;
}

tl::expected<std::uint32_t, location_match::duplicate> location_match::compile_level(
    std::span<const location_entry> entries) {
  const auto number = static_cast<std::uint32_t>(levels_.size());
  levels_.emplace_back();
  level built;  // not a reference into levels_, which grows with the nested ones
  for (const auto& entry : entries) {
    if (entry.kind == location_kind::named) {
      named_.emplace_back(entry.name, entry.location);
      continue;
    }
    target to{.location = entry.location,
              .is_final = entry.kind == location_kind::final_prefix,
              .redirects = entry.redirects_to_slash};
    if (!entry.nested.empty()) {
      auto nested = compile_level(entry.nested);
      if (!nested) return nested;
      to.level = *nested;
    }
    if (entry.kind == location_kind::regex) {
      built.regexes.push_back(to);
      continue;
    }
    built.has_redirects |= to.redirects;
    const auto at = std::ranges::lower_bound(built.nodes, entry.name, {}, &node::name);
    auto& named = at != built.nodes.end() && at->name == entry.name
                      ? *at
                      : *built.nodes.insert(at, node{.name = entry.name});
    auto& place = entry.kind == location_kind::exact ? named.exact : named.prefix;
    if (place.location != none)
      return tl::unexpected(duplicate{entry.location, "duplicate location \"" + entry.name + "\""});
    place = to;
  }
  // Names that begin a name stand before it, each beginning the next: a stack of them.
  std::vector<std::uint32_t> open;
  for (std::uint32_t i = 0; i < built.nodes.size(); ++i) {
    auto& each = built.nodes[i];
    while (!open.empty() && !each.name.starts_with(built.nodes[open.back()].name)) open.pop_back();
    if (!open.empty()) each.parent = open.back();
    if (each.prefix.location != none) open.push_back(i);
  }
  levels_[number] = std::move(built);
  return number;
}

location_match::static_match location_match::find_static(const level& here,
                                                         std::string_view path) noexcept {
  const auto& nodes = here.nodes;
  const auto name_of = [](const node& each) -> std::string_view { return each.name; };
  const auto above = std::ranges::upper_bound(nodes, path, {}, name_of);
  // The last name that is not above the path: it, or what begins it, is the longest prefix.
  const node* best = above == nodes.begin() ? nullptr : &*(above - 1);
  if (best != nullptr && best->name == path) {
    if (best->exact.location != none) return {outcome::settled, &best->exact};
    return {outcome::prefix, &best->prefix};
  }
  if (here.has_redirects) {
    // Names that go on after the path follow it, those that go on with a slash among them.
    const auto next = std::partition_point(above, nodes.end(), [path](const node& each) {
      return each.name.starts_with(path) &&
             static_cast<unsigned char>(each.name[path.size()]) < '/';
    });
    if (next != nodes.end() && next->name.size() == path.size() + 1 && next->name.back() == '/' &&
        next->name.starts_with(path) && (next->exact.redirects || next->prefix.redirects))
      return {outcome::settled, next->exact.location != none ? &next->exact : &next->prefix, true};
  }
  while (best != nullptr && (best->prefix.location == none || !path.starts_with(best->name)))
    best = best->parent == none ? nullptr : &nodes[best->parent];
  if (best == nullptr) return {};
  return {outcome::prefix, &best->prefix};
}

std::uint32_t location_match::find_named(std::string_view name) const noexcept {
  for (const auto& [known, location] : named_)
    if (known == name) return location;
  return none;
}

}  // namespace troupe::lua
