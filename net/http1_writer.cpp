// SPDX-License-Identifier: Apache-2.0
#include "net/http1_writer.hpp"

#include "net/chunked.hpp"
#include "net/decimal.hpp"
#include "net/http_date.hpp"
#include "net/version.hpp"

namespace troupe::net {
namespace {

struct head_builder {
  output_buffer& out;
  void line(std::string_view name, std::string_view value) {
    char* at = out.extend(name.size() + value.size() + 4);
    at = std::copy(name.begin(), name.end(), at);
    *at++ = ':';
    *at++ = ' ';
    at = std::copy(value.begin(), value.end(), at);
    *at++ = '\r';
    *at = '\n';
  }
  void number(std::string_view name, std::int64_t n) {
    line(name, decimal(static_cast<std::uint64_t>(n)));
  }
};

}  // namespace

void write_response_head(exchange& x) {
  const location_settings& settings = *x.settings;
  if (x.version == 9) {
    x.keep_alive = false;
    x.response_chunked = false;
    return;  // HTTP/0.9 has no head.
  }
  const bool bodiless = x.status == 204 || x.status == 304 || x.status < 200;
  x.keep_alive = x.keep_alive_wanted && !x.close_after && settings.keepalive_timeout != 0 &&
                 x.client.requests < static_cast<std::uint64_t>(settings.keepalive_requests);
  if (bodiless) {
    if (x.status != 304) x.response_length = -1;
  } else if (x.response_length < 0 && x.method != method_head) {
    if (x.version >= 1001 && settings.chunked_transfer_encoding) {
      x.response_chunked = true;
    } else {
      x.keep_alive = false;
    }
  }

  head_builder head{x.wire};
  x.wire.append("HTTP/1.1 ");
  std::string_view line = x.status_line.empty() ? status_text(x.status) : x.status_line;
  if (line.empty()) {
    x.wire.append(decimal(static_cast<std::uint64_t>(x.status), 3));
    x.wire.append(' ');
  } else {
    x.wire.append(line);
  }
  x.wire.append("\r\n");
  if (x.response_headers.find("Server") == nullptr && !x.server_hidden) {
    head.line("Server", settings.server_tokens ? server_token : server_name);
  }
  if (x.response_headers.find("Date") == nullptr && !x.date_hidden) head.line("Date", x.clock != nullptr ? x.clock->http_date() : cached_clock().http_date());
  if (!x.content_type.empty()) head.line("Content-Type", x.content_type);
  if (x.response_length >= 0) head.number("Content-Length", x.response_length);
  if (x.last_modified >= 0 && x.response_headers.find("Last-Modified") == nullptr) {
    head.line("Last-Modified", format_http_date(x.last_modified));
  }
  if (x.response_chunked) head.line("Transfer-Encoding", "chunked");
  if (x.status == 101) {
    head.line("Connection", "upgrade");
  } else if (x.keep_alive) {
    head.line("Connection", "keep-alive");
    if (settings.keepalive_header_timeout > 0) {
      head.line("Keep-Alive", "timeout=" + std::to_string(settings.keepalive_header_timeout));
    }
  } else {
    head.line("Connection", "close");
  }
  for (const header_field& field : x.response_headers) head.line(field.name, field.value);
  x.wire.append("\r\n");
}

void write_response_body(exchange& x, bool last) {
  if (x.header_only) {
    x.body_out.clear();
    return;
  }
  const std::size_t size = x.body_out.size();
  x.body_bytes_sent += size;
  if (!x.response_chunked) {
    x.wire.take(x.body_out);
    return;
  }
  if (size > 0) {
    char head[20];
    x.wire.append({head, write_chunk_head(head, size)});
    x.wire.take(x.body_out);
    x.wire.append(last ? std::string_view("\r\n0\r\n\r\n") : std::string_view("\r\n"));
  } else if (last) {
    x.wire.append("0\r\n\r\n");
  }
}

}  // namespace troupe::net
