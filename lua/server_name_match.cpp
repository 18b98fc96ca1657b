// SPDX-License-Identifier: Apache-2.0
#include "lua/server_name_match.hpp"

#include <algorithm>

namespace troupe::lua {

server_name_match::added server_name_match::add(std::string_view name, std::uint32_t server) {
  std::string lower(name);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  const auto stars = std::ranges::count(lower, '*');
  if (stars > 1 || lower.find("..") != std::string::npos || lower.find('\0') != std::string::npos)
    return added::invalid;
  const auto result = [](bool inserted) { return inserted ? added::ok : added::conflicting; };
  if (lower.size() > 1 && lower.front() == '.') {
    const auto bare = lower.substr(1);
    if (exact_.contains(bare)) return added::conflicting;
    return result(ends_.try_emplace(bare, wildcard{server, true}).second);
  }
  if (lower.size() > 2 && lower.starts_with("*."))
    return result(ends_.try_emplace(lower.substr(2), wildcard{server, false}).second);
  if (lower.size() > 2 && lower.ends_with(".*"))
    return result(starts_.try_emplace(lower.substr(0, lower.size() - 2), server).second);
  if (stars > 0) return added::invalid;
  if (const auto end = ends_.find(lower); end != ends_.end() && end->second.matches_bare)
    return added::conflicting;
  return result(exact_.try_emplace(std::move(lower), server).second);
}

const std::uint32_t* server_name_match::find_name(std::string_view host) const noexcept {
  if (const auto found = exact_.find(host); found != exact_.end()) return &found->second;
  if (host.empty()) return nullptr;
  if (!ends_.empty()) {
    if (const auto found = ends_.find(host); found != ends_.end() && found->second.matches_bare)
      return &found->second.server;
    for (auto dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.', dot + 1))
      if (const auto found = ends_.find(host.substr(dot + 1)); found != ends_.end())
        return &found->second.server;
  }
  if (!starts_.empty()) {
    for (auto dot = host.rfind('.'); dot != std::string_view::npos && dot > 0;
         dot = host.rfind('.', dot - 1))
      if (const auto found = starts_.find(host.substr(0, dot)); found != starts_.end())
        return &found->second;
  }
  return nullptr;
}

}  // namespace troupe::lua
