// SPDX-License-Identifier: Apache-2.0
//
// ngx.escape_uri, ngx.unescape_uri, ngx.encode_args, ngx.decode_args, base64, ngx.quote_sql_str;
// `check.parse_args` for ngx.req.get_uri_args and ngx.req.get_post_args.
//
// Source   the headings of these names in ngx_lua's README.
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include "lua/api/codec.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "net/base64.hpp"
#include "net/log.hpp"
#include "net/query_args.hpp"
#include "net/uri.hpp"

namespace troupe::lua {
namespace {

std::size_t escaped_growth(const char* text, std::size_t size, int type) noexcept {
  return net::escaped_growth({text, size}, static_cast<net::escape_type>(type));
}

void escape_uri(const char* text, std::size_t size, int type, char* out) noexcept {
  net::escape_uri(out, {text, size}, static_cast<net::escape_type>(type));
}

std::size_t unescape_uri(const char* text, std::size_t size, char* out) noexcept {
  return static_cast<std::size_t>(net::unescape_uri(out, {text, size}, true) - out);
}

int count_args(const char* text, std::size_t size) noexcept {
  return static_cast<int>(net::count_query_args({text, size}));
}

int parse_args(const char* text, std::size_t size, int limit, int keyless_count, char* decoded,
               troupe_ffi_arg* out) noexcept {
  std::string_view rest(text, size);
  net::query_arg arg;
  char* to = decoded;
  int count = 0;
  int left = limit;
  while (left > 0 && net::take_query_arg(rest, arg)) {
    if (arg.key.empty()) {
      left -= keyless_count;
      continue;
    }
    --left;
    troupe_ffi_arg& entry = out[count++];
    entry.key_at = static_cast<std::uint32_t>(to - decoded);
    char* const key_end = net::unescape_uri(to, arg.key, true);
    entry.key_size = static_cast<std::int32_t>(key_end - to);
    entry.value_at = static_cast<std::uint32_t>(key_end - decoded);
    to = key_end;
    entry.value_size = -1;
    if (arg.has_value) {
      to = net::unescape_uri(key_end, arg.value, true);
      entry.value_size = static_cast<std::int32_t>(to - key_end);
    }
  }
  return count;
}

int write_arg(char* out, int at, const char* key, std::size_t key_size, const char* value,
              std::size_t value_size) noexcept {
  char* to = out + at;
  if (at > 0) *to++ = '&';
  to = net::escape_uri(to, {key, key_size}, net::escape_type::component);
  if (value != nullptr) {
    *to++ = '=';
    to = net::escape_uri(to, {value, value_size}, net::escape_type::component);
  }
  return static_cast<int>(to - out);
}

void log_limit(int limit) noexcept {
  if (current.log == nullptr || !current.log->enabled(net::log_level::debug)) return;
  current.log->write(net::log_level::debug, "lua hit query args limit " + std::to_string(limit));
}

std::size_t encode_base64(const char* text, std::size_t size, char* out, int form,
                          int padded) noexcept {
  return net::encode_base64(out, {text, size}, static_cast<net::base64_form>(form), padded != 0);
}

int decode_base64(const char* text, std::size_t size, char* out, int form) noexcept {
  const auto decoded = net::decode_base64(out, {text, size}, static_cast<net::base64_form>(form));
  return decoded ? static_cast<int>(*decoded) : -1;
}

// The letter behind the backslash; 0: the byte stands for itself.
char sql_escape(char c) noexcept {
  switch (c) {
    case '\0':
      return '0';
    case '\b':
      return 'b';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\x1a':
      return 'Z';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return 0;
  }
}

std::size_t quoted_growth(const char* text, std::size_t size) noexcept {
  std::size_t growth = 0;
  for (const char c : std::string_view(text, size)) growth += sql_escape(c) != 0 ? 1 : 0;
  return growth;
}

void quote_sql(const char* text, std::size_t size, char* out) noexcept {
  *out++ = '\'';
  for (const char c : std::string_view(text, size)) {
    const char escape = sql_escape(c);
    if (escape != 0) *out++ = '\\';
    *out++ = escape != 0 ? escape : c;
  }
  *out = '\'';
}

constexpr troupe_ffi_codec table{.escaped_growth = escaped_growth,
                                 .escape_uri = escape_uri,
                                 .unescape_uri = unescape_uri,
                                 .count_args = count_args,
                                 .parse_args = parse_args,
                                 .write_arg = write_arg,
                                 .log_limit = log_limit,
                                 .encode_base64 = encode_base64,
                                 .decode_base64 = decode_base64,
                                 .quoted_growth = quoted_growth,
                                 .quote_sql = quote_sql};

}  // namespace

const api_area codec_area{.name = "codec",
                          .cdef =
                              {
#include "lua/api/codec.ffi.h.inc"
                              },
                          .table = &table,
                          .source =
                              {
#include "lua/api/codec.lua.inc"
                              },
                          .functions = nullptr};

}  // namespace troupe::lua
