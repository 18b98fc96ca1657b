// SPDX-License-Identifier: Apache-2.0
#include "net/exchange.hpp"

namespace troupe::net {
namespace {
constexpr std::size_t kept_head_capacity = 8192;
}  // namespace

exchange::exchange() = default;
exchange::~exchange() = default;

void exchange::reset() noexcept {
  owner = nullptr;
  client = {};
  method = method_unknown;
  method_name = {};
  version = 0;
  if (head_bytes.capacity() > kept_head_capacity) {
    std::string().swap(head_bytes);
  } else {
    head_bytes.clear();
  }
  request_line = unparsed_uri = uri = args = host = {};
  headers.clear();
  content_length.reset();
  is_chunked = keep_alive_wanted = expects_continue = false;
  body.reset();
  start_ms = 0;
  request_bytes = 0;
  settings = nullptr;
  server_name = {};
  is_internal = is_subrequest = false;
  parent = nullptr;
  nesting = pending_subrequests = 0;
  variable_holder = nullptr;
  uri_changed = false;
  valid_unparsed_uri = true;
  redirects_left = 10;
  next = direction::onward;
  final_status = 0;
  redirect_uri = redirect_args = {};
  route = server = nullptr;
  position = step = 0;
  stage_entered = false;
  access_code = 0;
  variables.clear();
  captures.clear();
  status = error_status = 0;
  status_line = {};
  response_headers.clear();
  content_type = {};
  content_type_suppressed = false;
  response_length = last_modified = -1;
  header_sent = header_only = response_chunked = keep_alive = close_after = eof_sent = false;
  buffering_http10 = disable_not_modified = failed = aborted = false;
  body_out.clear();
  body_bytes_sent = bytes_sent = 0;
  ctx_ref = slice_errors = 0;
  sockets.end();
  socket_taken = raw_socket_taken = false;
  headers_edited = header_filter_done = has_header_filter = has_body_filter = filter_ended = false;
  default_type_wanted = true;
  server_hidden = date_hidden = false;
  filter_status = 0;
  wire.clear();
  head_start = 0;
  file.reset();
  file_position = 0;
  set_arguments.clear();
  body_being_made = stage_waits_flush = false;
  filter_run = filter_done = 0;
  filter_waiters.clear();
  stage_waits_filter = false;
  body_waiters.clear();
  flush_waiters.clear();
  flush_error = nullptr;
  filter_chunk = {};
  filter_eof = false;
  log_target = nullptr;
  action = {};
  memory.reset();
}

bool exchange::enabled(log_level level) const noexcept {
  return log_target != nullptr && log_target->enabled(level);
}

void exchange::write(log_level level, std::string_view text) const noexcept {
  if (!enabled(level)) return;
  std::string line;
  line.reserve(text.size() + 160);
  line += '*';
  line += std::to_string(client.number);
  line += ' ';
  line += text;
  if (!action.empty()) {
    line += " while ";
    line += action;
  }
  line += ", client: ";
  line += client.remote_addr;
  line += ", server: ";
  line += server_name;
  if (!request_line.empty()) {
    line += ", request: \"";
    append_escaped(line, request_line);
    line += '"';
  }
  if (is_subrequest) {
    line += ", subrequest: \"";
    append_escaped(line, uri);
    line += '"';
  }
  if (const std::string_view field = headers.value("host"); !field.empty()) {
    line += ", host: \"";
    append_escaped(line, field);
    line += '"';
  }
  if (const std::string_view field = headers.value("referer"); !field.empty()) {
    line += ", referrer: \"";
    append_escaped(line, field);
    line += '"';
  }
  log_target->write(level, line);
}

std::string_view status_text(int status) noexcept {
  switch (status) {
    case 100: return "100 Continue";
    case 101: return "101 Switching Protocols";
    case 200: return "200 OK";
    case 201: return "201 Created";
    case 202: return "202 Accepted";
    case 204: return "204 No Content";
    case 206: return "206 Partial Content";
    case 301: return "301 Moved Permanently";
    case 302: return "302 Moved Temporarily";
    case 303: return "303 See Other";
    case 304: return "304 Not Modified";
    case 307: return "307 Temporary Redirect";
    case 308: return "308 Permanent Redirect";
    case 400: return "400 Bad Request";
    case 401: return "401 Unauthorized";
    case 402: return "402 Payment Required";
    case 403: return "403 Forbidden";
    case 404: return "404 Not Found";
    case 405: return "405 Not Allowed";
    case 406: return "406 Not Acceptable";
    case 408: return "408 Request Time-out";
    case 409: return "409 Conflict";
    case 410: return "410 Gone";
    case 411: return "411 Length Required";
    case 412: return "412 Precondition Failed";
    case 413: return "413 Request Entity Too Large";
    case 414: return "414 Request-URI Too Large";
    case 415: return "415 Unsupported Media Type";
    case 416: return "416 Requested Range Not Satisfiable";
    case 421: return "421 Misdirected Request";
    case 429: return "429 Too Many Requests";
    case 500: return "500 Internal Server Error";
    case 501: return "501 Not Implemented";
    case 502: return "502 Bad Gateway";
    case 503: return "503 Service Temporarily Unavailable";
    case 504: return "504 Gateway Time-out";
    case 505: return "505 HTTP Version Not Supported";
    case 507: return "507 Insufficient Storage";
    default: return {};
  }
}

}  // namespace troupe::net
