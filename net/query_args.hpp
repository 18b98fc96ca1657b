// SPDX-License-Identifier: Apache-2.0
//
// Query arguments: `a=1&b&c=%20` taken apart pair by pair, as ngx.req.get_uri_args,
// ngx.req.get_post_args and ngx.decode_args see them.
//
// Source   "ngx.req.get_uri_args" of ngx_lua's README; WHATWG URL's urlencoded parsing.
// Thread   any.
// Memory   pairs are views into the text, still escaped: unescape_uri(…, plus) decodes them.
// Called   by lua/api/codec.cpp.
#pragma once

#include <cstddef>
#include <string_view>

namespace troupe::net {

struct query_arg {
  std::string_view key;
  std::string_view value;
  bool has_value = false;  ///< There was a `=`.
};

/// Takes the first pair off `rest`. An empty piece between two `&` is a pair with an empty key.
/// @return false at the end.
bool take_query_arg(std::string_view& rest, query_arg& out) noexcept;

/// An upper bound of the pairs: the pieces between `&`, an empty last one included.
std::size_t count_query_args(std::string_view text) noexcept;

}  // namespace troupe::net
