// SPDX-License-Identifier: Apache-2.0
#include "net/uri.hpp"

#include <array>
#include <cstring>

namespace troupe::net {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

using table = std::array<bool, 256>;

constexpr table make_table(std::string_view escaped, bool high) {
  table t{};
  for (int c = 0; c < 0x20; ++c) t[static_cast<std::size_t>(c)] = true;
  if (high) {
    for (int c = 0x7f; c < 256; ++c) t[static_cast<std::size_t>(c)] = true;
  }
  for (const char c : escaped) t[static_cast<unsigned char>(c)] = true;
  return t;
}

constexpr table make_component_table() {
  table t{};
  for (auto& b : t) b = true;
  for (int c = 'a'; c <= 'z'; ++c) t[static_cast<std::size_t>(c)] = false;
  for (int c = 'A'; c <= 'Z'; ++c) t[static_cast<std::size_t>(c)] = false;
  for (int c = '0'; c <= '9'; ++c) t[static_cast<std::size_t>(c)] = false;
  for (const char c : std::string_view("-_.~!'()*")) t[static_cast<unsigned char>(c)] = false;
  return t;
}

constexpr table uri_table = make_table(" #%?", true);
constexpr table args_table = make_table(" #%+?", true);
constexpr table component_table = make_component_table();
constexpr table html_table = make_table(" \"#%'", true);
constexpr table refresh_table = make_table(" \"'", true);
constexpr table memcached_table = make_table(" %", false);
constexpr table path_table = make_table(" \"#%<>?\\^`{|}", true);
constexpr table path_args_table = make_table(" \"#%&+;<>?\\^`{|}", true);

const table& table_of(escape_type type) noexcept {
  switch (type) {
    case escape_type::uri:
      return uri_table;
    case escape_type::args:
      return args_table;
    case escape_type::component:
      return component_table;
    case escape_type::html:
      return html_table;
    case escape_type::refresh:
      return refresh_table;
    case escape_type::memcached:
    case escape_type::mail_auth:
      return memcached_table;
    case escape_type::path:
      return path_table;
    case escape_type::path_args:
      return path_args_table;
  }
  return component_table;
}

constexpr bool is_alpha(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// A table of the bytes for which `is` holds.
template <class Predicate>
constexpr table make_class(Predicate is) {
  table t{};
  for (int c = 0; c < 256; ++c) t[static_cast<std::size_t>(c)] = is(static_cast<char>(c));
  return t;
}

// RFC 3986 reg-name, but "," (two hosts that somebody joined), and bytes beyond ASCII, as nginx.
constexpr table host_byte = make_class([](char c) {
  return is_alpha(c) || is_digit(c) || (static_cast<unsigned char>(c) & 0x80) != 0 ||
         std::string_view("-._~%!$&'()*+;=").find(c) != std::string_view::npos;
});
constexpr table literal_byte = make_class([](char c) {
  return is_alpha(c) || is_digit(c) ||
         std::string_view(":-._~!$&'()*+;=").find(c) != std::string_view::npos;
});
// The absolute form says a host that the client has looked up: letters, digits, '-' and '.', as
// nginx wants it.
constexpr table plain_host_byte =
    make_class([](char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '.'; });

bool is_authority(std::string_view text, const table& name_byte) noexcept {
  std::size_t end = 0;
  if (text.starts_with('[')) {
    for (end = 1; end < text.size() && literal_byte[static_cast<unsigned char>(text[end])]; ++end) {
    }
    if (end == 1 || end == text.size() || text[end] != ']') return false;
    ++end;
  } else {
    for (; end < text.size() && name_byte[static_cast<unsigned char>(text[end])]; ++end) {
      if (text[end] == '.' && end > 0 && text[end - 1] == '.') return false;
    }
    if (end == 0 || text.substr(0, end) == ".") return false;
  }
  if (end == text.size()) return true;
  if (text[end] != ':') return false;
  for (const char c : text.substr(end + 1)) {
    if (!is_digit(c)) return false;
  }
  return true;
}

/// Takes "scheme://authority" off the front.
bool take_origin(std::string_view& raw, std::string_view& host) noexcept {
  const auto scheme_end = raw.find("://");
  if (scheme_end == std::string_view::npos || !is_alpha(raw.front())) return false;
  for (const char c : raw.substr(0, scheme_end)) {
    if (!is_alpha(c) && !is_digit(c) && c != '+' && c != '-' && c != '.') return false;
  }
  raw.remove_prefix(scheme_end + 3);
  host = raw.substr(0, raw.find_first_of("/?#"));
  raw.remove_prefix(host.size());
  return !raw.starts_with('#') && is_authority(host, plain_host_byte);
}

}  // namespace

bool is_host(std::string_view host) noexcept {
  return is_authority(host, host_byte);
}

bool parse_target(std::string_view raw, bool merge, arena& memory, target& out, bool asterisk) {
  out = {};
  if (raw.empty()) return false;
  if (raw.front() != '/') {
    if (raw == "*") {
      out.path = "/";
      out.is_asterisk = true;
      return asterisk;
    }
    if (!take_origin(raw, out.host)) return false;
  }
  // Most targets are plain: one look at each byte finds where the path ends and that it is so.
  std::size_t end = 0;
  bool is_plain = true;
  for (; end < raw.size(); ++end) {
    const char c = raw[end];
    if (c == '/') {
      if (end + 1 == raw.size()) continue;
      const char next = raw[end + 1];
      if (next == '.' || (next == '/' && merge)) is_plain = false;
    } else if (c == '%' || c == '\0') {
      is_plain = false;
    } else if (c == '?' || c == '#') {
      break;
    }
  }
  std::string_view path = raw.substr(0, end);
  if (end < raw.size() && raw[end] == '?') {
    out.has_args = true;
    const std::string_view args = raw.substr(end + 1);
    if (!args.empty()) out.args = args.substr(0, args.find('#'));
  }
  if (path.empty()) path = "/";  // Of the absolute form.
  if (is_plain) {
    out.path = path;
    out.is_plain = true;
    return true;
  }
  // Decode first, then resolve segments; both in one buffer that never grows.
  char* const begin = static_cast<char*>(memory.allocate(path.size() + 1, 1));
  std::size_t size = 0;
  for (std::size_t i = 0; i < path.size(); ++i) {
    char c = path[i];
    if (c == '%') {
      if (i + 2 >= path.size()) return false;
      const int high = hex_digit(path[i + 1]);
      const int low = hex_digit(path[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return false;
    begin[size++] = c;
  }
  std::size_t to = 0;
  std::size_t at = 0;
  while (at < size) {
    // begin[at] is '/'.
    std::size_t next = at + 1;
    while (next < size && begin[next] != '/') ++next;
    const std::string_view segment(begin + at + 1, next - at - 1);
    if (segment == ".") {
      if (next == size) begin[to++] = '/';
    } else if (segment == "..") {
      if (to == 0) return false;
      --to;
      while (begin[to] != '/') --to;
      if (next == size) begin[to++] = '/';
    } else if (segment.empty() && merge && next < size) {
      // "//": one of them is enough.
    } else {
      begin[to++] = '/';
      std::memmove(begin + to, segment.data(), segment.size());
      to += segment.size();
    }
    at = next;
  }
  if (to == 0) begin[to++] = '/';
  out.path = {begin, to};
  return true;
}

std::string_view host_without_port(std::string_view host, arena& memory) {
  if (!host.empty() && host.front() == '[') {
    const auto close = host.find(']');
    if (close != std::string_view::npos) host = host.substr(0, close + 1);
  } else if (const auto colon = host.find(':'); colon != std::string_view::npos) {
    host = host.substr(0, colon);
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  bool is_lower = true;
  for (const char c : host) is_lower = is_lower && !(c >= 'A' && c <= 'Z');
  if (is_lower) return host;
  char* copy = static_cast<char*>(memory.allocate(host.size(), 1));
  for (std::size_t i = 0; i < host.size(); ++i) {
    copy[i] = host[i] >= 'A' && host[i] <= 'Z' ? static_cast<char>(host[i] | 0x20) : host[i];
  }
  return {copy, host.size()};
}

std::size_t escaped_growth(std::string_view text, escape_type type) noexcept {
  const table& t = table_of(type);
  std::size_t count = 0;
  for (const char c : text) count += t[static_cast<unsigned char>(c)] ? 1 : 0;
  return 2 * count;
}

char* escape_uri(char* out, std::string_view text, escape_type type) noexcept {
  static constexpr char digits[] = "0123456789ABCDEF";
  const table& t = table_of(type);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (t[byte]) {
      *out++ = '%';
      *out++ = digits[byte >> 4];
      *out++ = digits[byte & 15];
    } else {
      *out++ = c;
    }
  }
  return out;
}

void escape_uri(std::string& out, std::string_view text, escape_type type) {
  const std::size_t before = out.size();
  out.resize(before + text.size() + escaped_growth(text, type));
  escape_uri(out.data() + before, text, type);
}

char* unescape_uri(char* out, std::string_view text, bool plus) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        *out++ = static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    *out++ = plus && text[i] == '+' ? ' ' : text[i];
  }
  return out;
}

void unescape_uri(std::string& out, std::string_view text, bool plus) {
  const std::size_t before = out.size();
  out.resize(before + text.size());
  const char* const end = unescape_uri(out.data() + before, text, plus);
  out.resize(static_cast<std::size_t>(end - out.data()));
}

bool is_unsafe_path(std::string_view path) noexcept {
  if (path.empty() || path.front() == '?') return true;
  if (path.starts_with("..") && (path.size() == 2 || path[2] == '/')) return true;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '?') return false;
    if (path[i] == '\0') return true;
    if (path[i] == '/' && path.substr(i + 1).starts_with("..") &&
        (i + 3 == path.size() || path[i + 3] == '/' || path[i + 3] == '?')) {
      return true;
    }
  }
  return false;
}

}  // namespace troupe::net
