// SPDX-License-Identifier: Apache-2.0
//
// The parser of nginx.conf: a text and what it includes become a tree of directives. It knows no
// directive but `include` (whose files take its place in the tree) and that the body of
// `…_by_lua_block` is Lua; what names mean and where they may stand, directive_table checks.
//
// It reads on after what it can: parse_result holds the directives up to the error too, so that a
// check can name what is wrong with them as well.
//
// Source   https://nginx.org/en/docs/beginners_guide.html#conf_structure; ngx_conf_file.c.
// Thread   any.
// Memory   nesting, depth and number of includes are bounded: a hostile file gives an error, not a
//          full stack.
// Called   by runtime/loader.cpp, runtime/commands; over memory_files by releases and the fuzzer.
#pragma once

#include "runtime/conf/file_source.hpp"
#include "troupe/diagnostic.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::conf {

struct directive {
  std::string name;
  std::vector<std::string> args;  ///< Unquoted, with their variables; without the name.
  std::string file;
  unsigned line = 0;      ///< Of its `;` or `{`, as nginx counts; 0 on the command line.
  unsigned end_line = 0;  ///< Of the `}` of its block; else line.
  bool has_block = false;
  bool is_lua = false;  ///< The block is Lua: lua_block, which begins on `line`; no children.
  std::vector<directive> children;
  std::string lua_block;
};

struct parse_result {
  std::vector<directive> directives;
  diagnostics errors;              ///< In the order of reading.
  std::vector<std::string> files;  ///< All files read, in order, each once.
  [[nodiscard]] bool ok() const noexcept { return errors.empty(); }
};

/// @param path  of the main file, as `source` knows it; includes are relative to its folder.
[[nodiscard]] parse_result parse_file(file_source& source, const std::string& path);

/// @param name    of the text in diagnostics; its folder is what includes are relative to.
[[nodiscard]] parse_result parse_text(file_source& source, const std::string& name,
                                      std::string_view text);

/// Directives of the command line (`-g 'daemon off;'`): no blocks.
[[nodiscard]] parse_result parse_parameters(std::string_view text);

/// `path` as an include in a configuration in `folder` means it.
[[nodiscard]] std::string resolve_path(std::string_view folder, std::string_view path);

/// The folder of a file with the final slash, empty if it has none: "conf/" of "conf/nginx.conf".
[[nodiscard]] std::string_view folder_of(std::string_view path) noexcept;

}  // namespace troupe::conf
