// SPDX-License-Identifier: Apache-2.0
//
// Header fields of both directions. Some fields are more than text: a Content-Type ends up in
// `content_type`, a Content-Length decides the framing, a Host changes $host.
//
// Source   "ngx.header.HEADER", "ngx.resp.get_headers", "ngx.req.get_headers", "ngx.req.set_header"
//          of ngx_lua's README; t/016-resp-header.t, t/028-req-header.t.
#include <cstddef>
#include <charconv>
#include <cstdint>

extern "C" {
#include "lua/api/header.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "net/exchange.hpp"
#include "net/http_date.hpp"
#include "net/uri.hpp"

namespace troupe::lua {
namespace {

using net::equals_ignoring_case;
using net::exchange;

bool must_escape_value(unsigned char c) noexcept { return (c < 0x20 && c != '\t') || c == 0x7f; }

bool must_escape_name(unsigned char c) noexcept {
  if (c <= 0x20 || c >= 0x7f) return true;
  switch (c) {
    case '(': case ')': case ',': case '/': case ':': case ';': case '<': case '=': case '>':
    case '?': case '@': case '[': case '\\': case ']': case '{': case '}': case '"': return true;
    default: return false;
  }
}

// Control bytes in a field become %XX, so that nobody can smuggle a line.
template <class Predicate>
std::string_view keep_escaped(exchange& x, std::string_view text, Predicate must_escape) {
  std::size_t count = 0;
  for (const char c : text) count += must_escape(static_cast<unsigned char>(c)) ? 1 : 0;
  if (count == 0) return x.keep(text);
  static constexpr char digits[] = "0123456789ABCDEF";
  char* const begin = static_cast<char*>(x.memory.allocate(text.size() + 2 * count, 1));
  char* out = begin;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (must_escape(byte)) {
      *out++ = '%';
      *out++ = digits[byte >> 4];
      *out++ = digits[byte & 15];
    } else {
      *out++ = c;
    }
  }
  return {begin, static_cast<std::size_t>(out - begin)};
}

bool transforms(const exchange& x) noexcept {
  return x.settings == nullptr || x.settings->lua_transform_underscores_in_response_headers;
}

// The name as it is compared: with `-` for `_`.
std::string_view wire_name(exchange& x, std::string_view name) {
  if (!transforms(x) || name.find('_') == std::string_view::npos) return name;
  char* copy = static_cast<char*>(x.memory.allocate(name.size(), 1));
  for (std::size_t i = 0; i < name.size(); ++i) copy[i] = name[i] == '_' ? '-' : name[i];
  return {copy, name.size()};
}

void put(troupe_ffi_field* fields, int room, int& count, std::string_view name,
         std::string_view value) noexcept {
  if (count < room) fields[count] = {name.data(), name.size(), value.data(), value.size()};
  ++count;
}

std::string_view number_text(exchange& x, std::int64_t n) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, n).ptr;
  return x.keep({digits, static_cast<std::size_t>(end - digits)});
}

std::string_view effective_type(const exchange& x) noexcept {
  if (!x.content_type.empty() || x.content_type_suppressed || x.header_sent) return x.content_type;
  return {};
}

int request_fields(troupe_ffi_field* fields, int room) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  int count = 0;
  for (const net::header_field& f : x->headers) put(fields, room, count, f.name, f.value);
  return count;
}

int response_fields(troupe_ffi_field* fields, int room) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  int count = 0;
  for (const net::header_field& f : x->response_headers) put(fields, room, count, f.name, f.value);
  if (const auto type = effective_type(*x); !type.empty()) {
    put(fields, room, count, "Content-Type", type);
  }
  if (x->response_length >= 0) {
    put(fields, room, count, "Content-Length", number_text(*x, x->response_length));
  }
  // As the head will say it, as far as that is known now.
  const bool keeps = x->header_sent ? x->keep_alive : (x->keep_alive_wanted && !x->close_after);
  put(fields, room, count, "Connection", x->status == 101 ? "upgrade" : keeps ? "keep-alive" : "close");
  const bool head_is_due =
      current.running != nullptr && current.running->where() == phase::header_filter;
  if (x->header_sent ? x->response_chunked
                     : head_is_due && x->response_length < 0 && x->version >= 1001) {
    put(fields, room, count, "Transfer-Encoding", "chunked");
  }
  return count;
}

int response_values(const char* name, std::size_t size, troupe_ffi_field* fields,
                    int room) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  const std::string_view wanted = wire_name(*x, {name, size});
  int count = 0;
  if (equals_ignoring_case(wanted, "Content-Type")) {
    if (const auto type = effective_type(*x); !type.empty()) put(fields, room, count, wanted, type);
    return count;
  }
  if (equals_ignoring_case(wanted, "Content-Length")) {
    if (x->response_length >= 0) put(fields, room, count, wanted, number_text(*x, x->response_length));
    return count;
  }
  for (const net::header_field& f : x->response_headers) {
    if (equals_ignoring_case(f.name, wanted)) put(fields, room, count, f.name, f.value);
  }
  if (count == 0 && x->last_modified >= 0 && equals_ignoring_case(wanted, "Last-Modified")) {
    put(fields, room, count, wanted, x->keep(net::format_http_date(x->last_modified)));
  }
  return count;
}

int complain_sent() noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  if (!x->header_sent) return 1;
  if (x->enabled(net::log_level::error)) {
    x->write(net::log_level::error,
             "attempt to set ngx.header.HEADER after sending out response headers");
  }
  return 0;
}

int set_response(const char* name, std::size_t size, const char* value, std::size_t value_size,
                 int append) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  if (x->header_sent) return 1;
  const std::string_view key =
      keep_escaped(*x, wire_name(*x, {name, size}), must_escape_name);
  const std::string_view text = keep_escaped(*x, {value, value_size}, must_escape_value);
  switch (key.size()) {
    case 4:
      if (equals_ignoring_case(key, "Date")) append = 0;
      if (equals_ignoring_case(key, "ETag")) append = 0;
      break;
    case 6:
      if (equals_ignoring_case(key, "Server")) append = 0;
      break;
    case 8:
      if (equals_ignoring_case(key, "Location")) append = 0;
      break;
    case 7:
      if (equals_ignoring_case(key, "Expires") || equals_ignoring_case(key, "Refresh")) append = 0;
      break;
    case 12:
      if (equals_ignoring_case(key, "Content-Type")) {
        x->content_type = text;
        x->content_type_suppressed = false;
        return 0;
      }
      break;
    case 13:
      if (equals_ignoring_case(key, "Last-Modified")) {
        x->last_modified = net::parse_http_date(text).value_or(-1);
        append = 0;
      } else if (equals_ignoring_case(key, "Content-Range") ||
                 equals_ignoring_case(key, "Accept-Ranges")) {
        append = 0;
      }
      break;
    case 14:
      if (equals_ignoring_case(key, "Content-Length")) {
        std::int64_t length = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), length);
        if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || length < 0) return 2;
        x->response_length = length;
        x->buffering_http10 = false;
        return 0;
      }
      break;
    case 10:
      if (equals_ignoring_case(key, "Connection")) {
        if (equals_ignoring_case(text, "close")) x->close_after = true;
        return 0;
      }
      break;
    case 16:
      if (equals_ignoring_case(key, "Content-Encoding")) append = 0;
      break;
    default: break;
  }
  if (append != 0) {
    x->response_headers.add(key, text);
  } else {
    x->response_headers.set(key, text);
  }
  return 0;
}

int clear_response(const char* name, std::size_t size) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  if (x->header_sent) return 1;
  const std::string_view key = wire_name(*x, {name, size});
  if (equals_ignoring_case(key, "Content-Type")) {
    x->content_type = {};
    x->content_type_suppressed = true;
  } else if (equals_ignoring_case(key, "Content-Length")) {
    x->response_length = -1;
  } else if (equals_ignoring_case(key, "Last-Modified")) {
    x->last_modified = -1;
  } else if (equals_ignoring_case(key, "Server")) {
    x->server_hidden = true;
  } else if (equals_ignoring_case(key, "Date")) {
    x->date_hidden = true;
  }
  x->response_headers.remove(key);
  return 0;
}

// What the server itself has read out of a field follows its change.
void apply_request_field(exchange& x, std::string_view name, std::string_view value) {
  if (equals_ignoring_case(name, "Host")) {
    x.host = net::host_without_port(value, x.memory);
  } else if (equals_ignoring_case(name, "Connection")) {
    x.keep_alive_wanted = equals_ignoring_case(value, "keep-alive")
                              ? true
                              : !equals_ignoring_case(value, "close") && x.version >= 1001;
  }
}

bool is_single(std::string_view name) noexcept {
  for (const std::string_view single :
       {"Host", "Connection", "Content-Length", "Content-Type", "User-Agent", "If-Modified-Since",
        "Range", "Accept-Encoding", "Expect", "Upgrade", "Authorization", "Referer", "Transfer-Encoding"}) {
    if (equals_ignoring_case(name, single)) return true;
  }
  return false;
}

int set_request(const char* name, std::size_t size, const char* value, std::size_t value_size,
                int append) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  if (x->version == 9) return 0;
  const std::string_view key = keep_escaped(*x, {name, size}, must_escape_name);
  const std::string_view text = keep_escaped(*x, {value, value_size}, must_escape_value);
  if (append != 0 && !is_single(key)) {
    x->headers.add(key, text);
  } else {
    x->headers.set(key, text);
  }
  apply_request_field(*x, key, text);
  return 0;
}

int clear_request(const char* name, std::size_t size) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  const std::string_view key(name, size);
  x->headers.remove(key);
  if (equals_ignoring_case(key, "Host")) x->host = {};
  return 0;
}

constexpr troupe_ffi_header table{.request_fields = request_fields,
                                  .response_fields = response_fields,
                                  .response_values = response_values,
                                  .set_response = set_response,
                                  .clear_response = clear_response,
                                  .set_request = set_request,
                                  .clear_request = clear_request,
                                  .complain_sent = complain_sent};

}  // namespace

const api_area header_area{.name = "header",
                           .cdef = {
#include "lua/api/header.ffi.h.inc"
                           },
                           .table = &table,
                           .source = {
#include "lua/api/header.lua.inc"
                           },
                           .functions = nullptr};

}  // namespace troupe::lua
