// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/lexer.hpp"

#include "runtime/conf/lua_block.hpp"

namespace troupe::conf {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// Replaces the escapes. A backslash before any other character stays, so that regular expressions
/// need no doubling.
std::string unescape(std::string_view raw) {
  std::string word;
  word.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '\\' && i + 1 < raw.size()) {
      char plain = 0;
      switch (raw[i + 1]) {
        case '"':
        case '\'':
        case '\\':
          plain = raw[i + 1];
          break;
        case 't':
          plain = '\t';
          break;
        case 'r':
          plain = '\r';
          break;
        case 'n':
          plain = '\n';
          break;
        default:
          break;
      }
      if (plain != 0) {
        word += plain;
        ++i;
        continue;
      }
    }
    word += raw[i];
  }
  return word;
}

std::string unexpected(char c) {
  return std::string("unexpected \"") + c + '"';
}

}  // namespace

tl::expected<statement, diagnostic> lexer::next() {
  statement result;
  // A closing quote must be followed by something that ends a word; `)` may follow at once, for the
  // sake of `if ($a = "b")`.
  bool after_quote = false;
  while (position_ < text_.size()) {
    const char c = text_[position_++];
    if (c == '\n') ++line_;
    result.line = line();
    if (is_space(c)) {
      after_quote = false;
      continue;
    }
    if (c == ';' || c == '{') {
      if (result.words.empty()) return tl::unexpected(error_here(unexpected(c)));
      result.end = c == ';' ? statement_end::semicolon : statement_end::block_start;
      return result;
    }
    if (after_quote && c != ')') return tl::unexpected(error_here(unexpected(c)));
    after_quote = false;
    if (c == '}') {
      if (!result.words.empty()) return tl::unexpected(error_here(unexpected(c)));
      result.end = statement_end::block_end;
      return result;
    }
    if (c == '#') {
      const auto line_end = text_.find('\n', position_);
      position_ = line_end == std::string_view::npos ? text_.size() : line_end;
      continue;
    }
    auto word = read_word(c);
    if (!word) return tl::unexpected(std::move(word.error()));
    result.words.push_back(std::move(*word));
    after_quote = c == '"' || c == '\'';
  }
  if (!result.words.empty()) return tl::unexpected(unexpected_end());
  result.line = line();
  return result;
}

/// Reads the word that begins with `first`, which was consumed. What ends an unquoted word is left
/// for next().
tl::expected<std::string, diagnostic> lexer::read_word(char first) {
  const char quote = first == '"' || first == '\'' ? first : '\0';
  const std::size_t start = quote != 0 ? position_ : position_ - 1;
  bool escaped = first == '\\';
  bool after_dollar = first == '$';
  while (position_ < text_.size()) {
    const char c = text_[position_];
    const bool in_variable = after_dollar;
    if (!escaped) {
      if (in_variable && c == '{') {  // `${name}`: no block starts here
        ++position_;
        continue;
      }
      after_dollar = c == '$';
      if (quote != 0) {
        if (c == quote) return unescape(text_.substr(start, position_++ - start));
      } else if (is_space(c) || c == ';' || c == '{') {
        return unescape(text_.substr(start, position_ - start));
      }
    }
    escaped = !escaped && c == '\\';
    if (c == '\n') ++line_;
    ++position_;
  }
  return tl::unexpected(unexpected_end());
}

diagnostic lexer::unexpected_end() const {
  return error_here(is_file_ ? "unexpected end of file, expecting \";\" or \"}\""
                             : "unexpected end of parameter, expecting \";\"");
}

tl::expected<std::string_view, diagnostic> lexer::read_lua_block() {
  auto block = scan_lua_block(text_.substr(position_), line_);
  if (!block) {
    auto& error = block.error();
    return tl::unexpected(diagnostic{file_, error.line, std::move(error.reason), {}});
  }
  const auto code = text_.substr(position_, block->size);
  position_ += block->size + 1;
  line_ = block->end_line;
  return code;
}

}  // namespace troupe::conf
