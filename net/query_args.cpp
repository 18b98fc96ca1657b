// SPDX-License-Identifier: Apache-2.0
#include "net/query_args.hpp"

#include <algorithm>

namespace troupe::net {

bool take_query_arg(std::string_view& rest, query_arg& out) noexcept {
  if (rest.empty()) return false;
  const auto end = std::min(rest.find('&'), rest.size());
  const std::string_view piece = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  const auto equals = piece.find('=');
  out.has_value = equals != std::string_view::npos;
  out.key = piece.substr(0, equals);
  out.value = out.has_value ? piece.substr(equals + 1) : std::string_view{};
  return true;
}

std::size_t count_query_args(std::string_view text) noexcept {
  if (text.empty()) return 0;
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '&')) + 1;
}

}  // namespace troupe::net
