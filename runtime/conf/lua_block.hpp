// SPDX-License-Identifier: Apache-2.0
//
// Finds the end of Lua code in a `*_by_lua_block { … }`: the `}` that balances the opening brace,
// with braces in Lua's strings, long brackets and comments not counted.
//
// It is as forgiving as ngx_lua's: a quote that is not closed on its line is no string (Lua itself
// will complain about it, at a better line), and a stray `]]` is left alone.
//
// Source   Lua 5.1 reference manual, 2.1 lexical conventions; ngx_lua t/132-lua-blocks.t.
// Thread   any.
// Errors   the code is not closed, or one of its long brackets is not.
// Called   by runtime/conf/lexer.cpp.
#pragma once

#include <tl/expected.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::conf {

struct lua_block_extent {
  std::size_t size;   ///< Of the code; text[size] is the closing brace.
  unsigned end_line;  ///< Of the closing brace.
};

struct lua_block_error {
  unsigned line;
  std::string reason;
};

/// @param text  what follows the opening brace.
/// @param line  line of the opening brace.
[[nodiscard]] tl::expected<lua_block_extent, lua_block_error> scan_lua_block(std::string_view text,
                                                                             unsigned line);

}  // namespace troupe::conf
