// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/lua_block.hpp"

#include <algorithm>

namespace troupe::conf {
namespace {

constexpr auto none = std::string_view::npos;

/// Size of `[[`, `[=[`, … at the start of text, or 0.
std::size_t long_bracket_size(std::string_view text) {
  if (text.empty() || text[0] != '[') return 0;
  std::size_t i = 1;
  while (i < text.size() && text[i] == '=') ++i;
  return i < text.size() && text[i] == '[' ? i + 1 : 0;
}

/// Size of the quoted string at the start of text, or 0 if its line ends before it does.
std::size_t quoted_size(std::string_view text) {
  for (std::size_t i = 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == text[0]) return i + 1;
    if (text[i] == '\\') {
      ++i;
      if (i < text.size() && text[i] == '\n') return 0;
    }
  }
  return 0;
}

}  // namespace

tl::expected<lua_block_extent, lua_block_error> scan_lua_block(std::string_view text,
                                                               unsigned line) {
  int depth = 1;
  unsigned brace_line =
      line;  // the innermost brace that was opened last: where a missing one belongs
  std::size_t i = 0;
  const auto skip = [&](std::size_t size) {
    line += static_cast<unsigned>(std::count(text.begin() + static_cast<std::ptrdiff_t>(i),
                                             text.begin() + static_cast<std::ptrdiff_t>(i + size),
                                             '\n'));
    i += size;
  };
  while (i < text.size()) {
    const auto rest = text.substr(i);
    switch (rest[0]) {
      case '{':
        ++depth;
        brace_line = line;
        ++i;
        break;
      case '}':
        if (--depth == 0) return lua_block_extent{i, line};
        ++i;
        break;
      case '"':
      case '\'': {
        const auto size = quoted_size(rest);
        i += size != 0 ? size : 1;
        break;
      }
      case '-':
      case '[': {
        const bool comment = rest.starts_with("--");
        const std::size_t lead = comment ? 2 : 0;
        if (const auto bracket = long_bracket_size(rest.substr(lead)); bracket != 0) {
          const std::string closing = "]" + std::string(bracket - 2, '=') + "]";
          const auto end = rest.find(closing, lead + bracket);
          if (end == none) {
            return tl::unexpected(
                lua_block_error{line, "Lua code block missing the closing long bracket \"" +
                                          closing + "\", the inlined Lua code may be too long"});
          }
          skip(end + closing.size());
        } else if (comment) {
          i += std::min(rest.find('\n'), rest.size());
        } else {
          ++i;
        }
        break;
      }
      default:
        skip(1);
        break;
    }
  }
  return tl::unexpected(lua_block_error{
      brace_line, "unexpected end of file, expecting terminating characters for lua code block"});
}

}  // namespace troupe::conf
