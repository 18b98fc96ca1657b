// SPDX-License-Identifier: Apache-2.0
//
// Request targets: from the bytes of a request line to a path and arguments; escaping both ways.
//
// Source   RFC 3986, RFC 9112 section 3.2; ngx_http_parse_complex_uri and ngx_escape_uri.
// Thread   any.
// Memory   results are views into the target where nothing had to be decoded, else into `memory`.
#pragma once

#include <string>
#include <string_view>

#include "net/arena.hpp"

namespace troupe::net {

struct target {
  std::string_view path;     ///< Decoded, dot segments resolved.
  std::string_view args;     ///< After `?`, raw.
  std::string_view host;     ///< Of the absolute form; "" otherwise. With port.
  bool has_args = false;     ///< There was a `?`.
  bool is_plain = false;     ///< The path is as sent: nothing was decoded, merged or resolved.
  bool is_asterisk = false;  ///< `*`: the server as a whole; its path is "/".
};

/// @param merge     "//" counts as "/" (merge_slashes).
/// @param asterisk  `*` is allowed: the method is OPTIONS.
/// @return false for what gets 400: no "/", a bad escape, a NUL, a path that leaves the root.
bool parse_target(std::string_view raw, bool merge, arena& memory, target& out,
                  bool asterisk = false);

/// Whether a Host field may say this: a name or an address and, after a colon, digits.
bool is_host(std::string_view host) noexcept;

/// `Host: EXAMPLE.com:80` -> "example.com"; IPv6 literals keep their brackets.
std::string_view host_without_port(std::string_view host, arena& memory);

/// Types as ngx.escape_uri numbers them. `args` leaves what separates pairs, `&` and `;`. The last
/// two are what nginx itself escapes in a Location or towards an upstream: `path` also what RFC
/// 3986 allows nowhere (such as `"` and `<`), `path_args` also `&`, `+` and `;`.
enum class escape_type {
  uri,
  args,
  component,
  html,
  refresh,
  memcached,
  mail_auth,
  path,
  path_args
};

/// Appends the escaped text.
void escape_uri(std::string& out, std::string_view text, escape_type type);
/// How many bytes escape_uri adds beyond the text's own.
std::size_t escaped_growth(std::string_view text, escape_type type) noexcept;
/// Writes text.size() + escaped_growth(text, type) bytes. @return the end.
char* escape_uri(char* out, std::string_view text, escape_type type) noexcept;
/// Appends the text with %XX decoded; bad escapes stay. `plus`: "+" is a space.
void unescape_uri(std::string& out, std::string_view text, bool plus);
/// Writes at most text.size() bytes. @return the end.
char* unescape_uri(char* out, std::string_view text, bool plus) noexcept;

/// A path that ngx.exec, error_page and X-Accel may not lead to: with ".." segments or NUL.
bool is_unsafe_path(std::string_view path) noexcept;

}  // namespace troupe::net
