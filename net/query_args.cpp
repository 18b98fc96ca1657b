// SPDX-License-Identifier: Apache-2.0
#include "net/query_args.hpp"

#include <algorithm>

namespace troupe::net {

bool take_query_arg(std::string_view& rest, query_arg& out) noexcept {
  if (rest.empty()) return false;
  // One loop over a few bytes costs less than two calls that search.
  const char* const begin = rest.data();
  const char* const end = begin + rest.size();
  const char* equals = nullptr;
  const char* at = begin;
  for (; at != end && *at != '&'; ++at) {
    if (*at == '=' && equals == nullptr) equals = at;
  }
  out.has_value = equals != nullptr;
  const char* const key_end = out.has_value ? equals : at;
  out.key = {begin, static_cast<std::size_t>(key_end - begin)};
  out.value = {};
  if (out.has_value) out.value = {equals + 1, static_cast<std::size_t>(at - equals - 1)};
  rest.remove_prefix(static_cast<std::size_t>(at - begin) + (at != end ? 1 : 0));
  return true;
}

std::size_t count_query_args(std::string_view text) noexcept {
  if (text.empty()) return 0;
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '&')) + 1;
}

}  // namespace troupe::net
