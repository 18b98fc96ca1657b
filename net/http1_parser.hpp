// SPDX-License-Identifier: Apache-2.0
//
// Parses the head of an HTTP/1.x request as it arrives. It is called again with more bytes while
// they trickle in, takes each line once it is complete, and looks at none twice: the outcome
// depends on the bytes, not on how they were cut.
//
// Lenient where nginx is and it is safe (a bare LF ends a line, empty lines before the request
// line, fields with odd names are skipped); strict where requests could be smuggled: repeated or
// bad Content-Length, Transfer-Encoding beside Content-Length or in HTTP/1.0, unknown codings,
// folded lines, space before the colon, two Hosts, control characters, a bare CR.
//
// Source   RFC 9112 sections 2 to 6; ngx_http_parse.c's leniency.
// Thread   any.
// Memory   results are views into the last `bytes`, which may lie elsewhere each time; the field
//          vector is the caller's and is reused.
// Errors   http_errc with the status that the client gets; the connection is then closed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "net/header_map.hpp"

namespace troupe::net {

enum class http_errc : std::uint8_t {
  none,
  bad_method,          ///< 400
  bad_request_line,    ///< 400
  bad_09_method,       ///< 400: HTTP/0.9 has GET alone.
  bad_version,         ///< 505
  bad_header,          ///< 400
  bad_content_length,  ///< 400
  two_lengths,         ///< 400: Content-Length beside Transfer-Encoding, or two of one.
  bad_coding,          ///< 400: chunked but not last or more than once, or in HTTP/1.0.
  unknown_coding,      ///< 501
  no_host,             ///< 400
  two_hosts,           ///< 400
  bad_host,            ///< 400
};

/// The status of an error: 400, 501 or 505.
int http_status(http_errc error) noexcept;
/// What nginx's log says: "client sent invalid header line".
std::string_view message(http_errc error) noexcept;

struct request_head {
  std::uint32_t method = 0;  ///< net::method bits; 1 for methods that HTTP does not name.
  std::string_view method_name;
  std::string_view target;        ///< As sent.
  std::string_view request_line;  ///< Without its line end.
  int version = 0;                ///< 9, 1000, 1001.
  std::optional<std::uint64_t> content_length;
  bool is_chunked = false;
  bool keep_alive = false;  ///< What version and Connection ask for.
  bool expects_continue = false;
  std::string_view host;  ///< The Host field as sent.
  bool has_host = false;
  std::size_t size = 0;   ///< Of the whole head, with empty lines before it.
  std::size_t start = 0;  ///< Offset of the request line.
};

enum class parse_status : std::uint8_t { need_more, done, failed };

class http1_parser {
 public:
  struct options {
    bool ignore_invalid_headers = true;
    bool underscores_in_headers = false;
  };

  /// @param bytes   all that has been received of this head so far.
  /// @param head    filled as far as it got, so that a log line can show the request line.
  /// @param fields  the same map for all calls of one head; complete when done.
  parse_status parse(std::string_view bytes, request_head& head, header_map& fields, options how);
  void reset() noexcept { *this = {}; }

  http_errc error = http_errc::none;
  /// The request line is complete: what comes is the fields (for 414 against 400).
  bool request_line_seen = false;
  /// Where the line begins that is not complete yet; for limits on single lines.
  std::size_t line_start = 0;

 private:
  void move_views(const char* to, header_map& fields) noexcept;
  http_errc take_field(std::string_view line, header_map& fields, options how);

  request_head head_;
  const char* base_ = nullptr;  ///< Where `bytes` lay at the last call.
  std::size_t scanned_ = 0;     ///< There is no line end between line_start and this.
  bool has_coding_ = false;
  bool must_close_ = false;
};

/// Finds the method's bit; method_unknown if HTTP does not name it.
std::uint32_t method_bit(std::string_view name) noexcept;
/// The name of one method; "" for none or several.
std::string_view method_text(std::uint32_t bit) noexcept;

}  // namespace troupe::net
