// SPDX-License-Identifier: Apache-2.0
//
// ngx.req.* for line, arguments and body; ngx.status.
//
// Source   the sections "ngx.req.*" and "ngx.status" of ngx_lua's README.
#include <cstddef>
#include <cstring>
#include <string>

extern "C" {
#include "lua/api/request.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "net/exchange.hpp"
#include "net/http1_parser.hpp"

namespace troupe::lua {
namespace {

using net::body_state;
using net::exchange;
using net::exchange_owner;

enum text_kind : int { method_name = 0, raw_header = 1, raw_header_without_line = 2, args = 3, temp_file = 4 };

const exchange& main_of(const exchange& x) noexcept {
  const exchange* at = &x;
  while (at->parent != nullptr) at = at->parent;
  return *at;
}

int text(int what, const char** bytes, std::size_t* size) noexcept {
  const exchange* x = current.exchange;
  if (x == nullptr) return -1;
  std::string_view found;
  switch (what) {
    case method_name: found = x->method_name; break;
    case raw_header:
    case raw_header_without_line: {
      const exchange& main = main_of(*x);
      found = main.head_bytes;
      found.remove_prefix(std::min(main.head_start, found.size()));
      if (what == raw_header_without_line) {
        const auto newline = found.find('\n');
        found.remove_prefix(newline == std::string_view::npos ? found.size() : newline + 1);
      }
      break;
    }
    case args: found = x->args; break;
    case temp_file:
      if (!x->body.in_file()) return 1;
      found = x->body.file_path();
      break;
    default: return 1;
  }
  *bytes = found.data();
  *size = found.size();
  return 0;
}

int version() noexcept { return current.exchange == nullptr ? -1 : current.exchange->version; }

int is_internal() noexcept {
  if (current.exchange == nullptr) return -1;
  return current.exchange->is_internal || current.exchange->is_subrequest ? 1 : 0;
}

double start_time() noexcept {
  if (current.exchange == nullptr) return -1;
  return static_cast<double>(main_of(*current.exchange).start_ms) / 1000.0;
}

int set_method(unsigned bit) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  const std::string_view name = net::method_text(bit);
  if (name.empty()) return 1;
  x->method = bit;
  x->method_name = name;
  return 0;
}

int set_args(const char* bytes, std::size_t size) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  // White space and control bytes would break a request line.
  std::size_t bad = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    bad += byte <= 0x20 || byte == 0x7f ? 1 : 0;
  }
  static constexpr char digits[] = "0123456789ABCDEF";
  char* const begin = static_cast<char*>(x->memory.allocate(size + 2 * bad, 1));
  char* out = begin;
  for (std::size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte <= 0x20 || byte == 0x7f) {
      *out++ = '%';
      *out++ = digits[byte >> 4];
      *out++ = digits[byte & 15];
    } else {
      *out++ = bytes[i];
    }
  }
  x->args = {begin, static_cast<std::size_t>(out - begin)};
  x->valid_unparsed_uri = false;
  return 0;
}

int status() noexcept {
  const exchange* x = current.exchange;
  if (x == nullptr) return -1;
  if (x->error_status != 0) return x->error_status;
  if (x->status != 0) return x->status;
  return x->version == 9 ? 9 : 0;
}

int set_status(int status) noexcept {
  exchange* x = current.exchange;
  if (x == nullptr) return -1;
  if (x->header_sent) {
    if (x->enabled(net::log_level::error)) {
      x->write(net::log_level::error,
               "attempt to set ngx.status after sending out response headers");
    }
    return 1;
  }
  if (status < 100 || status > 999) {
    if (x->enabled(net::log_level::error)) {
      x->write(net::log_level::error, "invalid HTTP status code " + std::to_string(status));
    }
    return 2;
  }
  x->error_status = 0;
  x->status = status;
  x->status_line = {};
  return 0;
}

int get_body_state(int* in_file) noexcept {
  const exchange* x = current.exchange;
  if (x == nullptr) return -1;
  *in_file = x->body.in_file() ? 1 : 0;
  return static_cast<int>(x->body.state);
}

int body(const char** bytes, std::size_t* size) noexcept {
  const exchange* x = current.exchange;
  if (x == nullptr) return -1;
  if (x->body.state != body_state::read || x->body.in_file() || x->body.size() == 0) return 1;
  const std::string_view found = x->body.memory();
  *bytes = found.data();
  *size = found.size();
  return 0;
}

int set_status_line(int status, const char* reason, std::size_t size) noexcept {
  const int code = set_status(status);
  if (code != 0) return code;
  exchange& x = *current.exchange;
  char digits[8];
  const int digits_size = std::snprintf(digits, sizeof digits, "%03d ", status);
  std::string line(digits, static_cast<std::size_t>(digits_size));
  line.append(reason, size);
  x.status_line = x.keep(line);
  return 0;
}

int bypass_checks() noexcept {
  if (current.exchange == nullptr) return -1;
  current.exchange->disable_not_modified = true;
  return 0;
}

constexpr troupe_ffi_request table{.text = text,
                                   .version = version,
                                   .is_internal = is_internal,
                                   .start_time = start_time,
                                   .set_method = set_method,
                                   .set_args = set_args,
                                   .status = status,
                                   .set_status = set_status,
                                   .body_state = get_body_state,
                                   .body = body,
                                   .set_status_line = set_status_line,
                                   .bypass_checks = bypass_checks};

int finish_read(lua_State*, void*) { return 0; }

// read_body()
int read_body(lua_State* state) {
  exchange& x = *current.exchange;
  switch (x.owner->read_body(x)) {
    case exchange_owner::progress::done: return 0;
    case exchange_owner::progress::failed:
      // The owner has put the status into the exchange; the stage hands it back.
      return script::stop(state);
    case exchange_owner::progress::waiting: break;
  }
  x.body_waiters.push_back(
      static_cast<std::uint64_t>(script::begin_wait(state, &x, finish_read, nullptr)));
  return lua_yield(state, 0);
}

int discard_body(lua_State*) {
  exchange& x = *current.exchange;
  x.owner->discard_body(x);
  return 0;
}

// Content-Length follows a body that was replaced.
void body_replaced(exchange& x) {
  x.content_length = x.body.size();
  x.is_chunked = false;
  x.headers.set("Content-Length", x.keep(std::to_string(x.body.size())));
  x.headers.remove("Transfer-Encoding");
}

// set_body_data(text)
int set_body_data(lua_State* state) {
  exchange& x = *current.exchange;
  std::size_t size = 0;
  const char* bytes = luaL_checklstring(state, 1, &size);
  x.body.assign({bytes, size});
  body_replaced(x);
  return 0;
}

// set_body_file(path, auto_clean)
int set_body_file(lua_State* state) {
  exchange& x = *current.exchange;
  std::size_t size = 0;
  const char* path = luaL_checklstring(state, 1, &size);
  const bool clean = lua_toboolean(state, 2) != 0;
  if (const auto error = x.body.assign_file(std::string(path, size), clean); error) {
    if (x.enabled(net::log_level::crit)) {
      x.write(net::log_level::crit, "open() \"" + std::string(path, size) + "\" failed (" +
                                        std::to_string(error.value()) + ": " + error.message() + ")");
    }
    return luaL_error(state, "open() \"%s\" failed", path);
  }
  body_replaced(x);
  return 0;
}

// Whether Lua reads the body itself: then it may keep what it has read.
int reads_by_socket(lua_State* state) {
  const exchange* x = current.exchange;
  lua_pushboolean(state, x != nullptr && x->socket_taken ? 1 : 0);
  return 1;
}

// init_body(size): nil for the configured size.
int init_body(lua_State* state) {
  exchange& x = *current.exchange;
  const auto limit = lua_isnoneornil(state, 1)
                         ? x.settings->client_body_buffer_size
                         : static_cast<std::size_t>(luaL_checknumber(state, 1));
  x.body.start(limit, x.settings->client_body_temp_path, false);
  x.body.state = body_state::read;
  x.body_being_made = true;
  return 0;
}

int append_body(lua_State* state) {
  exchange& x = *current.exchange;
  if (!x.body_being_made) return luaL_error(state, "request_body not initialized");
  std::size_t size = 0;
  const char* bytes = luaL_checklstring(state, 1, &size);
  x.body.append({bytes, size});
  if (x.body.failure()) return luaL_error(state, "fail to append body");
  return 0;
}

int finish_body(lua_State* state) {
  exchange& x = *current.exchange;
  if (!x.body_being_made) return luaL_error(state, "request_body not initialized");
  x.body_being_made = false;
  if (x.body.was_spilled() && x.enabled(net::log_level::warn)) {
    x.write(net::log_level::warn,
            "a client request body is buffered to a temporary file " + x.body.file_path());
  }
  body_replaced(x);
  return 0;
}

constexpr luaL_Reg functions[] = {{"read_body", read_body},
                                  {"discard_body", discard_body},
                                  {"set_body_data", set_body_data},
                                  {"set_body_file", set_body_file},
                                  {"reads_by_socket", reads_by_socket},
                                  {"init_body", init_body},
                                  {"append_body", append_body},
                                  {"finish_body", finish_body},
                                  {nullptr, nullptr}};

}  // namespace

const api_area request_area{.name = "request",
                            .cdef = {
#include "lua/api/request.ffi.h.inc"
                            },
                            .table = &table,
                            .source = {
#include "lua/api/request.lua.inc"
                            },
                            .functions = functions};

}  // namespace troupe::lua
