// SPDX-License-Identifier: Apache-2.0
//
// nginx's own command line, `troupe -p PREFIX -c CONF -t …`, for test suites, process managers and
// habits made for nginx: what its words mean and what is said in return. Messages begin with
// "nginx:", for that is what such tools look for. Doing it is runtime/commands/nginx.cpp.
//
// Source   https://nginx.org/en/docs/switches.html; ngx_get_options() and ngx_show_version_info().
// Thread   any.
// Errors   the text that nginx prints, without "nginx: ".
// Called   by runtime/main.cpp and runtime/commands/nginx.cpp.
#pragma once

#include "troupe/options.hpp"

#include <tl/expected.hpp>

#include <span>
#include <string>
#include <string_view>

namespace troupe {

struct nginx_invocation {
  bool help = false;               ///< -? -h
  bool version = false;            ///< -v, also with -V and -h
  bool configure_options = false;  ///< -V
  bool test = false;               ///< -t -T
  bool dump = false;               ///< -T
  bool quiet = false;              ///< -q
  std::string signal;              ///< -s: stop, quit, reopen, reload
  std::string prefix;              ///< -p
  std::string error_log;           ///< -e
  std::string conf;                ///< -c
  std::string directives;          ///< -g
};

/// Whether the words after the program's name are nginx's and not a command of troupe: the first
/// is a bundle of single-letter switches.
[[nodiscard]] bool is_nginx_invocation(std::span<const std::string> words) noexcept;

[[nodiscard]] tl::expected<nginx_invocation, std::string> parse_nginx_invocation(
    std::span<const std::string> words);

/// The options of the node: absolute paths, with nginx's defaults in troupe's folders.
[[nodiscard]] node_options options_of(const nginx_invocation& invocation);

/// What -h prints after the version.
[[nodiscard]] std::string_view nginx_help() noexcept;

/// What -v and -V print: "nginx version: troupe/1.22.1" and, for -V, what it was built with.
[[nodiscard]] std::string nginx_version_text(bool with_configure_options);

/// The number that `-s NAME` sends; 0: there is none of this name.
[[nodiscard]] int nginx_signal(std::string_view name) noexcept;

}  // namespace troupe
