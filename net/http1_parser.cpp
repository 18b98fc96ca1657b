// SPDX-License-Identifier: Apache-2.0
#include "net/http1_parser.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "net/exchange.hpp"
#include "net/uri.hpp"

namespace troupe::net {
namespace {

enum class name_class : std::uint8_t { odd, usual, underscore, colon, refused };

// What a field's name may hold: letters, digits and '-' are usual; other visible bytes are odd,
// which makes the field "invalid" for ignore_invalid_headers; space and control bytes are refused.
constexpr std::array<name_class, 256> make_name_classes() {
  std::array<name_class, 256> t{};
  for (std::size_t c = 0; c <= 0x20; ++c) t[c] = name_class::refused;
  t[0x7f] = name_class::refused;
  for (std::size_t c = 'a'; c <= 'z'; ++c) t[c] = t[c - 0x20] = name_class::usual;
  for (std::size_t c = '0'; c <= '9'; ++c) t[c] = name_class::usual;
  t['-'] = name_class::usual;
  t['_'] = name_class::underscore;
  t[':'] = name_class::colon;
  return t;
}
constexpr auto name_classes = make_name_classes();

constexpr bool is_method_char(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

constexpr bool is_control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

#ifdef __SSE2__
using sixteen = __m128i;
sixteen load(const char* at) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const sixteen*>(at));
}
sixteen all(char c) noexcept { return _mm_set1_epi8(c); }
/// The bytes from `first` to `last`.
sixteen between(sixteen bytes, char first, char last) noexcept {
  const sixteen above = _mm_sub_epi8(bytes, all(first));
  return _mm_cmpeq_epi8(_mm_min_epu8(above, all(static_cast<char>(last - first))), above);
}
unsigned mask(sixteen found) noexcept { return static_cast<unsigned>(_mm_movemask_epi8(found)); }
#endif

/// Where the first control byte is; text.size() if there is none. Values are most of a head.
std::size_t find_control(std::string_view text) noexcept {
  std::size_t i = 0;
#ifdef __SSE2__
  for (; i + 16 <= text.size(); i += 16) {
    const sixteen bytes = load(text.data() + i);
    const unsigned found =
        mask(_mm_or_si128(between(bytes, 0, 0x1f), _mm_cmpeq_epi8(bytes, all(0x7f))));
    if (found != 0) return i + static_cast<std::size_t>(std::countr_zero(found));
  }
#endif
  while (i < text.size() && !is_control(text[i])) ++i;
  return i;
}

/// How many usual bytes of a name are at the front.
std::size_t count_usual(std::string_view text) noexcept {
  std::size_t i = 0;
#ifdef __SSE2__
  for (; i + 16 <= text.size(); i += 16) {
    const sixteen bytes = load(text.data() + i);
    const sixteen letters = between(_mm_or_si128(bytes, all(0x20)), 'a', 'z');
    const sixteen others = _mm_or_si128(between(bytes, '0', '9'), _mm_cmpeq_epi8(bytes, all('-')));
    const unsigned found = mask(_mm_or_si128(letters, others)) ^ 0xffffU;
    if (found != 0) return i + static_cast<std::size_t>(std::countr_zero(found));
  }
#endif
  while (i < text.size() &&
         name_classes[static_cast<unsigned char>(text[i])] == name_class::usual) {
    ++i;
  }
  return i;
}

bool equals(std::string_view a, std::string_view b) noexcept {
  return equals_ignoring_case(a, b);
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view last_token(std::string_view list) noexcept {
  return trim(list.substr(list.rfind(',') + 1));  // npos + 1 is 0.
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

http_errc parse_request_line(std::string_view line, request_head& head) {
  head.request_line = line;
  std::size_t i = 0;
  while (i < line.size() && is_method_char(line[i])) ++i;
  if (i == 0 || i == line.size() || line[i] != ' ') return http_errc::bad_method;
  head.method_name = line.substr(0, i);
  head.method = method_bit(head.method_name);
  while (i < line.size() && line[i] == ' ') ++i;
  // The target ends at the first space: what follows is the version or nothing.
  const std::size_t end = std::min(line.find(' ', i), line.size());
  head.target = line.substr(i, end - i);
  if (head.target.empty() || find_control(head.target) != head.target.size()) {
    return http_errc::bad_request_line;
  }
  std::string_view rest = line.substr(end);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  while (!rest.empty() && rest.back() == ' ') rest.remove_suffix(1);
  if (rest.empty()) {
    if (head.method != method_get) return http_errc::bad_09_method;
    head.version = 9;
    return http_errc::none;
  }
  if (!rest.starts_with("HTTP/")) return http_errc::bad_request_line;
  rest.remove_prefix(5);
  // DIGIT "." DIGIT, but a second digit is let through on either side, as nginx does, so that a
  // later HTTP is told so by 505.
  auto number = [&rest] {
    int n = 0;
    std::size_t digits = 0;
    for (; digits < 2 && digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9';
         ++digits) {
      n = n * 10 + (rest[digits] - '0');
    }
    rest.remove_prefix(digits);
    return digits == 0 ? -1 : n;
  };
  if (rest.starts_with('0')) return http_errc::bad_request_line;
  const int major = number();
  if (major < 0 || !rest.starts_with('.')) return http_errc::bad_request_line;
  rest.remove_prefix(1);
  const int minor = number();
  if (minor < 0 || !rest.empty()) return http_errc::bad_request_line;
  if (major > 1) return http_errc::bad_version;
  head.version = minor >= 1 ? 1001 : 1000;
  head.keep_alive = minor >= 1;
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
    default:
      break;
  }
  return method_unknown;
}

std::string_view method_text(std::uint32_t bit) noexcept {
  switch (bit) {
    case method_get: return "GET";
    case method_head: return "HEAD";
    case method_post: return "POST";
    case method_put: return "PUT";
    case method_delete: return "DELETE";
    case method_mkcol: return "MKCOL";
    case method_copy: return "COPY";
    case method_move: return "MOVE";
    case method_options: return "OPTIONS";
    case method_propfind: return "PROPFIND";
    case method_proppatch: return "PROPPATCH";
    case method_lock: return "LOCK";
    case method_unlock: return "UNLOCK";
    case method_patch: return "PATCH";
    case method_trace: return "TRACE";
    default: return {};
  }
}

int http_status(http_errc error) noexcept {
  switch (error) {
    case http_errc::bad_version:
      return 505;
    case http_errc::unknown_coding:
      return 501;
    default:
      return 400;
  }
}

std::string_view message(http_errc error) noexcept {
  switch (error) {
    case http_errc::none:
      return "";
    case http_errc::bad_method:
      return "client sent invalid method";
    case http_errc::bad_request_line:
      return "client sent invalid request";
    case http_errc::bad_09_method:
      return "client sent invalid method in HTTP/0.9 request";
    case http_errc::bad_version:
      return "client sent invalid version";
    case http_errc::bad_header:
      return "client sent invalid header line";
    case http_errc::bad_content_length:
      return "client sent invalid \"Content-Length\" header";
    case http_errc::two_lengths:
      return "client sent duplicate or conflicting \"Content-Length\" and \"Transfer-Encoding\" "
             "headers";
    case http_errc::bad_coding:
      return "client sent invalid \"Transfer-Encoding\" header";
    case http_errc::unknown_coding:
      return "client sent unknown \"Transfer-Encoding\"";
    case http_errc::no_host:
      return "client sent HTTP/1.1 request without \"Host\" header";
    case http_errc::two_hosts:
      return "client sent duplicate host header";
    case http_errc::bad_host:
      return "client sent invalid host header";
  }
  return "";
}

// The caller's buffer was enlarged and lies elsewhere now.
void http1_parser::move_views(const char* to, header_map& fields) noexcept {
  auto move = [this, to](std::string_view& view) {
    if (view.data() != nullptr) view = {to + (view.data() - base_), view.size()};
  };
  move(head_.method_name);
  move(head_.target);
  move(head_.request_line);
  move(head_.host);
  for (header_field& field : fields.fields()) {
    move(field.name);
    move(field.value);
  }
}

http_errc http1_parser::take_field(std::string_view line, header_map& fields, options how) {
  std::size_t colon = count_usual(line);
  bool is_valid = true;
  for (;; ++colon) {
    if (colon == line.size()) return http_errc::bad_header;
    const name_class c = name_classes[static_cast<unsigned char>(line[colon])];
    if (c == name_class::usual) continue;
    if (c == name_class::colon) break;
    if (c == name_class::refused) return http_errc::bad_header;  // Also folded lines.
    if (c == name_class::odd || !how.underscores_in_headers) is_valid = false;
  }
  if (colon == 0) return http_errc::bad_header;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim(line.substr(colon + 1));
  for (std::size_t at = 0;; ++at) {
    at += find_control(value.substr(at));
    if (at == value.size()) break;
    if (value[at] != '\t') return http_errc::bad_header;
  }
  // Framing is judged even where the field would be ignored.
  switch (name.size()) {
    case 4:
      if (equals(name, "Host")) {
        if (head_.has_host) return http_errc::two_hosts;
        if (!is_host(value)) return http_errc::bad_host;
        head_.has_host = true;
        head_.host = value;
      }
      break;
    case 6:
      if (equals(name, "Expect") && equals(value, "100-continue")) head_.expects_continue = true;
      break;
    case 10:
      if (equals(name, "Connection")) {
        if (has_token(value, "close")) must_close_ = true;
        if (has_token(value, "keep-alive")) head_.keep_alive = true;
      }
      break;
    case 14:
      if (equals(name, "Content-Length")) {
        if (head_.content_length || has_coding_) return http_errc::two_lengths;
        std::uint64_t length = 0;
        const http_errc e = parse_length(value, length);
        if (e != http_errc::none) return e;
        head_.content_length = length;
      }
      break;
    case 17:
      if (equals(name, "Transfer-Encoding")) {
        if (head_.content_length || has_coding_) return http_errc::two_lengths;
        if (head_.version < 1001) return http_errc::bad_coding;
        has_coding_ = true;
        if (equals(value, "chunked")) {
          head_.is_chunked = true;
        } else if (!has_token(value, "chunked")) {
          return http_errc::unknown_coding;
        } else {  // A coding that is not known before chunked is refused as such.
          const auto comma = value.rfind(',');
          const bool is_framed = comma != std::string_view::npos &&
                                 equals(last_token(value), "chunked") &&
                                 !has_token(value.substr(0, comma), "chunked");
          return is_framed ? http_errc::unknown_coding : http_errc::bad_coding;
        }
      }
      break;
    default:
      break;
  }
  if (is_valid || !how.ignore_invalid_headers) fields.add(name, value);
  return http_errc::none;
}

parse_status http1_parser::parse(std::string_view bytes, request_head& head, header_map& fields,
                                 options how) {
  if (base_ == nullptr) {
    fields.clear();
  } else if (base_ != bytes.data()) {
    move_views(bytes.data(), fields);
  }
  base_ = bytes.data();
  parse_status status = parse_status::need_more;
  while (status == parse_status::need_more && error == http_errc::none && scanned_ < bytes.size()) {
    const auto* newline = static_cast<const char*>(
        std::memchr(bytes.data() + scanned_, '\n', bytes.size() - scanned_));
    if (newline == nullptr) {
      scanned_ = bytes.size();
      break;
    }
    const auto end = static_cast<std::size_t>(newline - bytes.data());
    std::string_view line = bytes.substr(line_start, end - line_start);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!request_line_seen) {
      if (!line.empty()) {  // Empty lines may come before it.
        request_line_seen = true;
        head_.start = line_start;
        error = parse_request_line(line, head_);
        if (head_.version == 9) status = parse_status::done;  // No fields follow.
      }
    } else if (!line.empty()) {
      error = take_field(line, fields, how);
    } else {
      if (head_.version >= 1001 && !head_.has_host) error = http_errc::no_host;
      status = parse_status::done;
    }
    line_start = scanned_ = end + 1;
  }
  if (error != http_errc::none) status = parse_status::failed;
  if (status == parse_status::done) {
    head_.size = line_start;
    if (must_close_) head_.keep_alive = false;
  }
  head = head_;
  return status;
}

}  // namespace troupe::net
