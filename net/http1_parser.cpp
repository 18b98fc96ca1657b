// SPDX-License-Identifier: Apache-2.0
#include "net/http1_parser.hpp"

#include <array>
#include <cstring>
#include <limits>

#include "net/exchange.hpp"

namespace troupe::net {
namespace {

// What a field's name may hold without being "invalid": letters, digits, '-'.
constexpr std::array<std::uint8_t, 256> make_name_table() {
  std::array<std::uint8_t, 256> t{};
  for (int c = 'a'; c <= 'z'; ++c) t[static_cast<std::size_t>(c)] = 1;
  for (int c = 'A'; c <= 'Z'; ++c) t[static_cast<std::size_t>(c)] = 1;
  for (int c = '0'; c <= '9'; ++c) t[static_cast<std::size_t>(c)] = 1;
  t['-'] = 1;
  return t;
}
constexpr auto name_char = make_name_table();

constexpr bool is_method_char(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

bool equals(std::string_view a, std::string_view b) noexcept { return equals_ignoring_case(a, b); }

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Whether a list such as Connection's has this token.
bool has_token(std::string_view list, std::string_view token) noexcept {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (equals(trim(list.substr(0, comma)), token)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool is_host(std::string_view host) noexcept {
  if (host.empty()) return true;  // Allowed: "Host:" without a value.
  for (const char c : host) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || c == '/' || c == '\\' || c == '@' || c == ',' || c == '"' ||
        c == '<' || c == '>' || c == '?' || c == '#') {
      return false;
    }
  }
  return true;
}

http_errc parse_request_line(std::string_view line, request_head& head) {
  head.request_line = line;
  std::size_t i = 0;
  while (i < line.size() && is_method_char(line[i])) ++i;
  if (i == 0 || i == line.size() || line[i] != ' ') return http_errc::bad_request_line;
  head.method_name = line.substr(0, i);
  head.method = method_bit(head.method_name);
  while (i < line.size() && line[i] == ' ') ++i;
  // The version is what follows the last space, if it looks like one; nginx lets spaces be in a
  // target no longer since 1.21, so a second space ends it.
  std::size_t end = i;
  while (end < line.size() && line[end] != ' ') {
    const auto byte = static_cast<unsigned char>(line[end]);
    if (byte < 0x20 || byte == 0x7f) return http_errc::bad_request_line;
    ++end;
  }
  head.target = line.substr(i, end - i);
  if (head.target.empty()) return http_errc::bad_request_line;
  std::string_view rest = line.substr(end);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  while (!rest.empty() && rest.back() == ' ') rest.remove_suffix(1);
  if (rest.empty()) {
    if (head.method != method_get) return http_errc::bad_request_line;
    head.version = 9;
    return http_errc::none;
  }
  if (!rest.starts_with("HTTP/")) return http_errc::bad_request_line;
  rest.remove_prefix(5);
  int major = 0;
  int minor = 0;
  std::size_t digits = 0;
  while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9' && digits < 3) {
    major = major * 10 + (rest[digits++] - '0');
  }
  if (digits == 0 || digits >= rest.size() || rest[digits] != '.') return http_errc::bad_request_line;
  rest.remove_prefix(digits + 1);
  digits = 0;
  while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9' && digits < 3) {
    minor = minor * 10 + (rest[digits++] - '0');
  }
  if (digits == 0 || digits != rest.size()) return http_errc::bad_request_line;
  if (major > 1) return http_errc::bad_version;
  if (major < 1) return http_errc::bad_request_line;
  head.version = minor >= 1 ? 1001 : 1000;
  return http_errc::none;
}

http_errc parse_length(std::string_view value, std::uint64_t& length) {
  if (value.empty()) return http_errc::bad_content_length;
  length = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return http_errc::bad_content_length;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (length > (std::uint64_t{std::numeric_limits<std::int64_t>::max()} - digit) / 10) {
      return http_errc::bad_content_length;
    }
    length = length * 10 + digit;
  }
  return http_errc::none;
}

}  // namespace

std::uint32_t method_bit(std::string_view name) noexcept {
  switch (name.size()) {
    case 3:
      if (name == "GET") return method_get;
      if (name == "PUT") return method_put;
      break;
    case 4:
      if (name == "POST") return method_post;
      if (name == "HEAD") return method_head;
      if (name == "COPY") return method_copy;
      if (name == "MOVE") return method_move;
      if (name == "LOCK") return method_lock;
      break;
    case 5:
      if (name == "PATCH") return method_patch;
      if (name == "MKCOL") return method_mkcol;
      if (name == "TRACE") return method_trace;
      break;
    case 6:
      if (name == "DELETE") return method_delete;
      if (name == "UNLOCK") return method_unlock;
      break;
    case 7:
      if (name == "OPTIONS") return method_options;
      break;
    case 8:
      if (name == "PROPFIND") return method_propfind;
      break;
    case 9:
      if (name == "PROPPATCH") return method_proppatch;
      break;
    default: break;
  }
  return method_unknown;
}

int http_status(http_errc error) noexcept {
  switch (error) {
    case http_errc::bad_version: return 505;
    case http_errc::unknown_coding: return 501;
    default: return 400;
  }
}

std::string_view message(http_errc error) noexcept {
  switch (error) {
    case http_errc::none: return "";
    case http_errc::bad_request_line: return "client sent invalid request";
    case http_errc::bad_version: return "client sent invalid version";
    case http_errc::bad_header: return "client sent invalid header line";
    case http_errc::bad_content_length: return "client sent invalid \"Content-Length\" header";
    case http_errc::two_lengths:
      return "client sent duplicate or conflicting \"Content-Length\" and \"Transfer-Encoding\" headers";
    case http_errc::bad_coding: return "client sent invalid \"Transfer-Encoding\" header";
    case http_errc::unknown_coding: return "client sent unknown \"Transfer-Encoding\"";
    case http_errc::no_host: return "client sent HTTP/1.1 request without \"Host\" header";
    case http_errc::two_hosts: return "client sent duplicate host header";
    case http_errc::bad_host: return "client sent invalid host header";
  }
  return "";
}

parse_status http1_parser::parse(std::string_view bytes, request_head& head, header_map& fields,
                                 options how) {
  // First find the end of the head: the empty line. Lines seen before are not scanned again.
  std::size_t at = line_start;
  if (!request_line_seen) {
    while (at < bytes.size() && (bytes[at] == '\n' || bytes[at] == '\r')) {
      if (bytes[at] == '\r' && at + 1 < bytes.size() && bytes[at + 1] != '\n') {
        return fail(http_errc::bad_request_line);
      }
      if (bytes[at] == '\r' && at + 1 == bytes.size()) break;
      ++at;
    }
    line_start = at;
    if (scanned_ < at) scanned_ = at;
    head.start = at;
  }
  bool complete = false;
  std::size_t end = 0;
  for (;;) {
    const void* found = scanned_ < bytes.size()
                            ? std::memchr(bytes.data() + scanned_, '\n', bytes.size() - scanned_)
                            : nullptr;
    if (found == nullptr) {
      scanned_ = bytes.size();
      break;
    }
    const auto newline = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
    const std::size_t length = newline - line_start;
    const bool is_empty = length == 0 || (length == 1 && bytes[line_start] == '\r');
    if (!request_line_seen) {
      request_line_seen = true;
      head.start = line_start;
      std::string_view line = bytes.substr(line_start, length);
      if (line.ends_with('\r')) line.remove_suffix(1);
      const http_errc e = parse_request_line(line, head);
      if (e != http_errc::none) return fail(e);
      if (head.version == 9) {  // No fields follow.
        end = newline + 1;
        complete = true;
      }
    } else if (is_empty) {
      end = newline + 1;
      complete = true;
    }
    line_start = scanned_ = newline + 1;
    if (complete) break;
  }
  if (!complete) return parse_status::need_more;

  // The whole head is here: now the fields, with views that hold.
  head.size = end;
  fields.clear();
  std::size_t line = head.start;
  line = bytes.find('\n', line) + 1;
  {
    std::string_view first = bytes.substr(head.start, line - 1 - head.start);
    if (first.ends_with('\r')) first.remove_suffix(1);
    parse_request_line(first, head);
  }
  head.content_length.reset();
  head.is_chunked = head.expects_continue = head.has_host = false;
  head.host = {};
  head.keep_alive = head.version >= 1001;
  bool has_coding = false;
  while (line < end) {
    const auto newline = static_cast<std::size_t>(
        static_cast<const char*>(std::memchr(bytes.data() + line, '\n', end - line)) - bytes.data());
    std::string_view text = bytes.substr(line, newline - line);
    line = newline + 1;
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.empty()) break;
    // The name.
    std::size_t colon = 0;
    bool is_valid = true;
    for (; colon < text.size() && text[colon] != ':'; ++colon) {
      const auto byte = static_cast<unsigned char>(text[colon]);
      if (name_char[byte] != 0) continue;
      if (text[colon] == '_') {
        is_valid = is_valid && how.underscores_in_headers;
        continue;
      }
      if (byte <= 0x20 || byte == 0x7f) return fail(http_errc::bad_header);  // Also folded lines.
      is_valid = false;
    }
    if (colon == text.size() || colon == 0) return fail(http_errc::bad_header);
    const std::string_view name = text.substr(0, colon);
    const std::string_view value = trim(text.substr(colon + 1));
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\t') || byte == 0x7f) return fail(http_errc::bad_header);
    }
    // Framing is judged even where the field would be ignored.
    switch (name.size()) {
      case 4:
        if (equals(name, "Host")) {
          if (head.has_host) return fail(http_errc::two_hosts);
          if (!is_host(value)) return fail(http_errc::bad_host);
          head.has_host = true;
          head.host = value;
        }
        break;
      case 6:
        if (equals(name, "Expect") && equals(value, "100-continue")) head.expects_continue = true;
        break;
      case 10:
        if (equals(name, "Connection")) {
          if (has_token(value, "close")) head.keep_alive = false;
          else if (has_token(value, "keep-alive")) head.keep_alive = true;
        }
        break;
      case 14:
        if (equals(name, "Content-Length")) {
          std::uint64_t length = 0;
          if (head.content_length || has_coding) return fail(http_errc::two_lengths);
          const http_errc e = parse_length(value, length);
          if (e != http_errc::none) return fail(e);
          head.content_length = length;
        }
        break;
      case 17:
        if (equals(name, "Transfer-Encoding")) {
          if (head.content_length || has_coding) return fail(http_errc::two_lengths);
          if (head.version < 1001) return fail(http_errc::bad_coding);
          has_coding = true;
          if (equals(value, "chunked")) {
            head.is_chunked = true;
          } else if (has_token(value, "chunked")) {
            return fail(http_errc::bad_coding);
          } else {
            return fail(http_errc::unknown_coding);
          }
        }
        break;
      default: break;
    }
    if (is_valid || !how.ignore_invalid_headers) fields.add(name, value);
  }
  if (head.version >= 1001 && !head.has_host) return fail(http_errc::no_host);
  return parse_status::done;
}

}  // namespace troupe::net
