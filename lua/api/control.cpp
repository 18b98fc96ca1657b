// SPDX-License-Identifier: Apache-2.0
//
// ngx.exit, exec, redirect, sleep, on_abort: what ends an exchange or waits.
//
// None of these is an error in Lua's sense: the coroutine yields to its script, which ends all the
// coroutines, so no pcall sees them.
//
// Source   the sections of these names in ngx_lua's README.
// Thread   that of the VM.
#include <cmath>
#include <cstddef>
#include <string>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/vm.hpp"
#include "net/exchange.hpp"
#include "net/uri.hpp"

namespace troupe::lua {
namespace {

phase running_phase() {
  return current.running != nullptr ? current.running->where() : phase::none;
}

void check_phase(lua_State* state, phase_set allowed) {
  const phase now = running_phase();
  if (now == phase::none || now == phase::init) luaL_error(state, "no request found");
  if (!contains(allowed, now)) {
    luaL_error(state, "API disabled in the context of %s", directive_name(now).data());
  }
}

// Whoever waits for an answer of its own server must get it.
void check_subrequests(lua_State* state, const net::exchange* x) {
  if (x != nullptr && x->pending_subrequests > 0) {
    luaL_error(state, "attempt to abort with pending subrequests");
  }
}

// The head is out, or a header filter that waits has it.
bool has_begun(const net::exchange& x) { return x.header_sent || x.filter_run != x.filter_done; }

// exit(status)
int exit(lua_State* state) {
  const phase now = running_phase();
  check_phase(state, output_phases | phase::header_filter | phase::timer | phase::balancer);
  const auto code = static_cast<int>(luaL_checknumber(state, 1));
  if (code == -2 || code == -4) {
    return luaL_error(state, "bad argument to 'ngx.exit': does not accept NGX_AGAIN or NGX_DONE");
  }
  net::exchange* x = current.exchange;
  if (code != -1 && code != 408 && code != 444 && code != 499) check_subrequests(state, x);
  if (x != nullptr && x->enabled(net::log_level::debug)) {
    x->write(net::log_level::debug, "lua exit with code " + std::to_string(code));
  }
  if (now == phase::header_filter) {
    x->filter_status = code;
    return 0;
  }
  int effective = code;
  if (x != nullptr && x->header_sent && code >= 300 && code != x->status && code != 408 &&
      code != 444 && code != 499) {
    if (x->enabled(net::log_level::error)) {
      x->write(net::log_level::error, "attempt to set status " + std::to_string(code) +
                                          " via ngx.exit after sending out the response status " +
                                          std::to_string(x->status));
    }
    effective = x->status;
  }
  script& self = *current.running;
  self.exit_code = effective;
  self.exited = true;
  return script::stop(state);
}

// exec(uri, args): both are strings; control.lua has checked and joined them.
int exec(lua_State* state) {
  check_phase(state, output_phases);
  net::exchange& x = *current.exchange;
  check_subrequests(state, &x);
  std::size_t uri_size = 0;
  std::size_t args_size = 0;
  const char* uri = luaL_checklstring(state, 1, &uri_size);
  const char* args = lua_isnoneornil(state, 2) ? "" : luaL_checklstring(state, 2, &args_size);
  if (has_begun(x)) {
    return luaL_error(state, "attempt to call ngx.exec after sending out response headers");
  }
  std::string_view path(uri, uri_size);
  std::string_view query(args, args_size);
  std::string_view own;
  if (const auto question = path.find('?'); question != std::string_view::npos) {
    own = path.substr(question + 1);
    path = path.substr(0, question);
  }
  if (path.empty()) return luaL_error(state, "The uri argument is empty");
  if (path.front() == '@') {
    if (!query.empty() && x.enabled(net::log_level::warn)) {
      x.write(net::log_level::warn, "query strings " + std::string(query) +
                                        " ignored when exec'ing named location " +
                                        std::string(path));
    }
    x.redirect_uri = x.keep(path);
    x.next = net::direction::named_location;
  } else {
    if (net::is_unsafe_path(path)) {
      if (x.enabled(net::log_level::error)) {
        x.write(net::log_level::error, "unsafe URI \"" + std::string(path) + "\" was detected");
      }
      return luaL_error(state, "unsafe uri");
    }
    // The path of a target is escaped, as a client would send it.
    std::string decoded;
    net::unescape_uri(decoded, path, false);
    x.redirect_uri = x.keep(decoded);
    if (own.empty()) {
      x.redirect_args = x.keep(query);
    } else if (query.empty()) {
      x.redirect_args = x.keep(own);
    } else {
      x.redirect_args = x.keep(std::string(own) + "&" + std::string(query));
    }
    x.next = net::direction::internal_redirect;
  }
  x.status = 0;
  return script::stop(state);
}

// redirect(uri, status)
int redirect(lua_State* state) {
  const int count = lua_gettop(state);
  if (count != 1 && count != 2) return luaL_error(state, "expecting one or two arguments");
  std::size_t size = 0;
  const char* text = luaL_checklstring(state, 1, &size);
  const auto status = count == 2 ? static_cast<int>(luaL_checknumber(state, 2)) : 302;
  if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308) {
    return luaL_error(state,
                      "only ngx.HTTP_MOVED_TEMPORARILY, ngx.HTTP_MOVED_PERMANENTLY, "
                      "ngx.HTTP_PERMANENT_REDIRECT, ngx.HTTP_SEE_OTHER, and "
                      "ngx.HTTP_TEMPORARY_REDIRECT are allowed");
  }
  check_phase(state, output_phases);
  net::exchange& x = *current.exchange;
  check_subrequests(state, &x);
  if (has_begun(x)) {
    return luaL_error(state, "attempt to call ngx.redirect after sending out the headers");
  }
  const std::string_view uri(text, size);
  for (const char c : uri) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && byte != 0x09) || byte == 0x7f) {
      std::string shown;
      for (const char d : uri) {
        const auto b = static_cast<unsigned char>(d);
        if (b < 0x20 || b >= 0x7f || d == '"' || d == '\\') {
          char hex[8];
          std::snprintf(hex, sizeof hex, "\\x%02X", b);
          shown += hex;
        } else {
          shown += d;
        }
      }
      char hex[8];
      std::snprintf(hex, sizeof hex, "0x%02x", byte);
      return luaL_error(state, "unsafe byte \"%s\" in redirect uri \"%s\"", hex, shown.c_str());
    }
  }
  x.response_headers.set("Location", x.keep(uri));
  x.status = status;
  x.next = net::direction::finish;
  x.final_status = status;
  return script::stop(state);
}

// sleep(seconds)
int sleep(lua_State* state) {
  const int count = lua_gettop(state);
  if (count != 1) return luaL_error(state, "attempt to pass %d arguments, but accepted 1", count);
  const double ms = luaL_checknumber(state, 1) * 1000;
  // Less than a millisecond below zero is zero, as ngx_lua counts; no clock reaches 1e15.
  if (!(ms > -1 && ms < 1e15)) {
    return luaL_error(state, "invalid sleep duration \"%f\"", std::trunc(ms));
  }
  const auto rounded = static_cast<std::int64_t>(ms);
  if (const auto* x = current.exchange; x != nullptr && x->enabled(net::log_level::debug)) {
    x->write(net::log_level::debug, "lua ready to sleep for " + std::to_string(rounded) + " ms");
  }
  return script::sleep(state, rounded);
}

// set_uri(uri, jump): control.lua has checked them.
int set_uri(lua_State* state) {
  std::size_t size = 0;
  const char* text = lua_tolstring(state, 1, &size);
  const bool jump = lua_toboolean(state, 2) != 0;
  net::exchange* x = current.exchange;
  if (x == nullptr) return luaL_error(state, "no request found");
  if (jump) check_subrequests(state, x);
  if (jump) check_phase(state, phase::rewrite | phase::server_rewrite);
  x->uri = x->keep({text, size});
  x->is_internal = true;
  x->valid_unparsed_uri = false;
  if (!jump) return 0;
  if (x->enabled(net::log_level::debug)) {
    x->write(net::log_level::debug, "lua set uri jump to \"" + std::string(x->uri) + "\"");
  }
  x->next = net::direction::reroute;
  return script::stop(state);
}

// on_abort(callback)
int on_abort(lua_State* state) {
  check_phase(state, output_phases);
  if (!lua_isfunction(state, 1) || lua_iscfunction(state, 1)) {
    return luaL_argerror(state, 1, "Lua function expected");
  }
  const char* refusal = nullptr;
  lua_settop(state, 1);
  if (!current.exchange->settings->lua_check_client_abort) {
    refusal = "lua_check_client_abort is off";
  } else if (!script::set_abort_handler(state)) {
    refusal = "duplicate call";
  }
  if (refusal != nullptr) {
    lua_pushnil(state);
    lua_pushstring(state, refusal);
    return 2;
  }
  lua_pushinteger(state, 1);
  return 1;
}

constexpr luaL_Reg functions[] = {{"on_abort", on_abort}, {"exit", exit},   {"exec", exec},       {"redirect", redirect},
                                  {"sleep", sleep}, {"set_uri", set_uri}, {nullptr, nullptr}};

}  // namespace

const api_area control_area{.name = "control",
                            .cdef = {},
                            .table = nullptr,
                            .source =
                                {
#include "lua/api/control.lua.inc"
                                },
                            .functions = functions};

}  // namespace troupe::lua
