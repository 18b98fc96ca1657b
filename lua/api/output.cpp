// SPDX-License-Identifier: Apache-2.0
//
// ngx.print, say, flush, eof, send_headers, headers_sent.
//
// Source   the sections of these names in ngx_lua's README.
// Thread   that of the VM.
#include <cstddef>
#include <cstdint>

extern "C" {
#include "lua/api/output.ffi.h"
}

#include "lua/api_registry.hpp"
#include "lua/api/areas.hpp"
#include "lua/api/value_text.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {
namespace {

using net::exchange_owner;

// Codes as in output.lua.
enum code : int {
  ok = 0,
  filters = 1,
  header_only = 2,
  seen_eof = 3,
  filter_error = 4,
  raw_socket = 5,
  no_request = -1,
  bad_phase = -2,
};

// Output that nobody asked to flush goes out in pieces of this size.
constexpr std::size_t write_threshold = 32768;
constexpr std::size_t usual_postpone_output = 1460;

// Who set postpone_output below what is usual wants output to go at once.
std::size_t most_held(const net::exchange& x) noexcept {
  const std::size_t asked = x.settings->postpone_output;
  return asked < usual_postpone_output ? asked : write_threshold;
}

int begin() noexcept {
  net::exchange* x = current.exchange;
  if (x == nullptr || current.running == nullptr) return no_request;
  if (!contains(output_phases, current.running->where())) return bad_phase;
  if (x->failed || x->owner == nullptr) return filter_error;
  if (x->raw_socket_taken) return raw_socket;
  if (x->eof_sent) return seen_eof;
  if (x->header_only || x->method == net::method_head) {
    if (!x->header_sent) return ok;  // The head still goes out.
    return header_only;
  }
  return ok;
}

void append(const char* bytes, std::size_t size) noexcept {
  current.exchange->body_out.append({bytes, size});
}

void append_number(double number) noexcept {
  char text[longest_number];
  append(text, write_number(text, number));
}

bool gathers(net::exchange& x) noexcept {
  if (x.header_sent) return false;
  if (!x.buffering_http10 && (x.version >= 1001 || !x.settings->lua_http10_buffering ||
                              x.response_length >= 0 || x.is_subrequest)) {
    return false;
  }
  x.buffering_http10 = true;
  if (x.enabled(net::log_level::debug)) {
    x.write(net::log_level::debug, "lua buffering output bufs for the HTTP 1.0 request");
  }
  return true;
}

int commit() noexcept {
  net::exchange& x = *current.exchange;
  if (gathers(x)) return ok;
  if ((x.has_header_filter && !x.header_sent) || x.has_body_filter) return filters;
  if (!x.header_sent && !x.owner->commit_head(x)) return filter_error;
  if (x.header_only) {
    x.body_out.clear();
    return header_only;
  }
  if (x.body_out.size() >= most_held(x)) {
    if (x.owner->flush(x) == exchange_owner::progress::failed) return filter_error;
  }
  return ok;
}

int write(const char* bytes, std::size_t size) noexcept {
  const int can = begin();
  if (can != ok) return can;
  append(bytes, size);
  return commit();
}

int line(const char* bytes, std::size_t size) noexcept {
  const int can = begin();
  if (can != ok) return can;
  append(bytes, size);
  append("\n", 1);
  return commit();
}

int send_headers() noexcept {
  net::exchange* x = current.exchange;
  if (x == nullptr || current.running == nullptr) return no_request;
  if (!contains(output_phases, current.running->where())) return bad_phase;
  if (x->header_sent) return ok;
  if (x->failed || x->owner == nullptr) return filter_error;
  if (x->has_header_filter) return filters;
  return x->owner->commit_head(*x) ? ok : filter_error;
}

int headers_sent() noexcept {
  net::exchange* x = current.exchange;
  if (x == nullptr) return -1;
  return x->header_sent ? 1 : 0;
}

constexpr troupe_ffi_output table{.begin = begin,
                                  .append = append,
                                  .append_number = append_number,
                                  .commit = commit,
                                  .write = write,
                                  .line = line,
                                  .send_headers = send_headers,
                                  .headers_sent = headers_sent};

int push_failure(lua_State* state, const char* text) {
  lua_pushnil(state);
  lua_pushstring(state, text);
  return 2;
}

int finish_filter(lua_State* state, void* operation) {
  if (static_cast<net::exchange*>(operation)->failed) {
    return push_failure(state, "nginx output filter error");
  }
  lua_pushinteger(state, 1);
  return 1;
}

// The coroutine is resumed when the filters have let go of all that was said so far. If it dies before,
// its token finds nobody: what it said goes out all the same.
int await_filters(lua_State* state, net::exchange& x) {
  const wait_token token = script::begin_wait(state, &x, finish_filter, nullptr);
  x.filter_waiters.push_back({x.filter_run, static_cast<std::uint64_t>(token)});
  return lua_yield(state, 0);
}

// filter(last): runs the filters over what was said; waits if they do.
int filter(lua_State* state) {
  net::exchange& x = *current.exchange;
  const bool last = lua_toboolean(state, 1) != 0;
  switch (x.owner->filter(x, last)) {
    case exchange_owner::progress::done: lua_pushinteger(state, 1); return 1;
    case exchange_owner::progress::failed:
      return push_failure(state, "nginx output filter error");
    case exchange_owner::progress::waiting: break;
  }
  return await_filters(state, x);
}

// settle(): waits until the filters have let go of all output.
int settle(lua_State* state) { return await_filters(state, *current.exchange); }

int finish_flush(lua_State* state, void* operation) {
  auto& x = *static_cast<net::exchange*>(operation);
  if (x.flush_error != nullptr) return push_failure(state, x.flush_error);
  lua_pushinteger(state, 1);
  return 1;
}

// flush(wait)
int flush(lua_State* state) {
  net::exchange& x = *current.exchange;
  const bool wait = lua_toboolean(state, 1) != 0 && !x.is_subrequest;
  if (x.buffering_http10) {
    if (x.enabled(net::log_level::debug)) {
      x.write(net::log_level::debug, "lua http 1.0 buffering makes ngx.flush() a no-op");
    }
    return push_failure(state, "buffering");
  }
  if (x.failed) return push_failure(state, "nginx output filter error");
  switch (x.owner->flush(x)) {
    case exchange_owner::progress::done: lua_pushinteger(state, 1); return 1;
    case exchange_owner::progress::failed: return push_failure(state, "client aborted");
    case exchange_owner::progress::waiting: break;
  }
  if (!wait) {
    lua_pushinteger(state, 1);
    return 1;
  }
  x.flush_waiters.push_back(
      static_cast<std::uint64_t>(script::begin_wait(state, &x, finish_flush, nullptr)));
  return lua_yield(state, 0);
}

// state(): what flush and eof decide by. -> header_sent, gathering, eof, has output, raw,
// the filters wait
int state(lua_State* state) {
  net::exchange* x = current.exchange;
  if (x == nullptr) return 0;
  lua_pushboolean(state, x->header_sent);
  lua_pushboolean(state, x->buffering_http10);
  lua_pushboolean(state, x->eof_sent);
  lua_pushboolean(state, !x->body_out.empty() || x->body_bytes_sent > 0);
  lua_pushboolean(state, x->raw_socket_taken);
  lua_pushboolean(state, x->filter_run != x->filter_done);
  return 6;
}

// eof(): the output is complete.
int eof(lua_State* state) {
  net::exchange& x = *current.exchange;
  if (x.eof_sent) return push_failure(state, "seen eof");
  if (x.buffering_http10 && !x.header_sent && x.response_length < 0) {
    x.response_length = static_cast<std::int64_t>(x.body_out.size());
  }
  x.buffering_http10 = false;
  x.eof_sent = true;
  lua_settop(state, 0);
  lua_pushboolean(state, 1);
  return filter(state);
}

constexpr luaL_Reg functions[] = {
    {"filter", filter}, {"settle", settle}, {"flush", flush},
    {"state", state},   {"eof", eof},       {nullptr, nullptr}};

}  // namespace

const api_area output_area{.name = "output",
                           .cdef = {
#include "lua/api/output.ffi.h.inc"
                           },
                           .table = &table,
                           .source = {
#include "lua/api/output.lua.inc"
                           },
                           .functions = functions};

}  // namespace troupe::lua
