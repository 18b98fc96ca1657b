// SPDX-License-Identifier: Apache-2.0
//
// The lexer of nginx.conf: cuts a text into statements, each the words up to `;`, `{`, `}` or the
// end. Words are unquoted and their escapes (\" \' \\ \t \r \n) replaced; variables are left as
// they are, since only a directive knows whether its words may hold some.
//
// The line of a statement is the line of its terminator, not of its first word: so nginx counts,
// and so its error messages and the chunk names of inlined Lua code read.
//
// Source   the reader of nginx's configuration files (ngx_conf_file.c: ngx_conf_read_token).
// Thread   any; a lexer belongs to one caller.
// Errors   the first one ends reading: after it next() must not be called again.
// Called   by runtime/conf/parser.cpp.
#pragma once

#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace troupe::conf {

enum class statement_end { semicolon, block_start, block_end, end_of_text };

struct statement {
  statement_end end = statement_end::end_of_text;
  std::vector<std::string> words;  ///< Empty for block_end and end_of_text, else at least one.
  unsigned line = 1;               ///< Of the terminator.
};

class lexer {
 public:
  /// @param text  read in place, must outlive the lexer.
  /// @param file  for diagnostics.
  lexer(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

  /// Of parameters on the command line, which have no lines and no blocks.
  static lexer of_parameters(std::string_view text) {
    lexer words(text, "command line");
    words.is_file_ = false;
    return words;
  }

  [[nodiscard]] tl::expected<statement, diagnostic> next();

  /// The Lua code up to the `}` that closes the block whose `{` was read last, without that `}`.
  [[nodiscard]] tl::expected<std::string_view, diagnostic> read_lua_block();

  /// Line of what was read last.
  [[nodiscard]] unsigned line() const noexcept { return is_file_ ? line_ : 0; }
  [[nodiscard]] bool is_file() const noexcept { return is_file_; }
  [[nodiscard]] const std::string& file() const noexcept { return file_; }

  [[nodiscard]] diagnostic error_here(std::string reason) const {
    return {file_, line(), std::move(reason), {}};
  }

 private:
  [[nodiscard]] tl::expected<std::string, diagnostic> read_word(char first);
  [[nodiscard]] diagnostic unexpected_end() const;

  std::string_view text_;
  std::string file_;
  std::size_t position_ = 0;
  unsigned line_ = 1;
  bool is_file_ = true;
};

}  // namespace troupe::conf
