// SPDX-License-Identifier: Apache-2.0
//
// ngx.location.capture and capture_multi: requests that an exchange makes of its own server. Each is
// an actor; the last answer wakes the coroutine.
//
// Source   "ngx.location.capture", "ngx.location.capture_multi" of ngx_lua's README.
// Thread   that of the VM.
// Memory   the requests belong to the wait: they go with its result, or with the coroutine.
#include <memory>
#include <string>
#include <vector>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/vm.hpp"
#include "net/exchange.hpp"
#include "net/http1_parser.hpp"
#include "net/subrequest.hpp"
#include "net/uri.hpp"
#include "net/variables.hpp"

namespace troupe::lua {
namespace {

using net::log_level;
using net::subrequest;

struct capture_wait;

struct part final : subrequest {
  capture_wait* whole = nullptr;
  vm* machine = nullptr;
  void on_answered() noexcept override;
  // The runner frees the slot of a context once it has begun with it.
  ~part() override {
    if (ctx_slot > 0) machine->release_ctx(ctx_slot);
  }
};

struct capture_wait {
  ~capture_wait() { --x->pending_subrequests; }
  std::vector<std::unique_ptr<part>> parts;
  std::size_t unanswered = 0;
  net::exchange* x = nullptr;
  script_host* host = nullptr;
  wait_token token = wait_token::none;
};

void part::on_answered() noexcept {
  if (--whole->unanswered == 0) whole->host->wake(whole->token);
}

// Where capture.lua puts what, in the list that describes a request. What was not given is false,
// and the list of a request without options ends with `sees`.
enum place : int { uri = 1, args, method, sees, body, forward, headers, vars, ctx };

// The text at that place of the table on top of the stack; "" if none is there. The table keeps it.
std::string_view text_at(lua_State* state, place where) {
  lua_rawgeti(state, -1, where);
  std::size_t size = 0;
  const char* text = lua_tolstring(state, -1, &size);
  lua_pop(state, 1);
  return text != nullptr ? std::string_view(text, size) : std::string_view();
}

lua_Integer number_at(lua_State* state, place where) {
  lua_rawgeti(state, -1, where);
  const lua_Integer number = lua_tointeger(state, -1);
  lua_pop(state, 1);
  return number;
}

// A table of texts, checked by capture.lua: calls `take(name, value)` for each.
template <class Take>
void each_field(lua_State* state, place where, Take take) {
  lua_rawgeti(state, -1, where);
  if (lua_istable(state, -1)) {
    lua_pushnil(state);
    while (lua_next(state, -2) != 0) {
      std::size_t size = 0;
      const char* key = lua_tolstring(state, -2, &size);
      std::size_t value_size = 0;
      const char* value = lua_tolstring(state, -1, &value_size);
      take(std::string_view(key, size), std::string_view(value, value_size));
      lua_pop(state, 1);
    }
  }
  lua_pop(state, 1);
}

// Fills `made` from the table on top of the stack. False: what is wrong is in the log.
bool read_part(lua_State* state, net::exchange& x, part& made) {
  std::string_view path = text_at(state, place::uri);
  made.args = text_at(state, place::args);
  if (const auto question = path.find('?'); question != std::string_view::npos) {
    const std::string own(path.substr(question + 1));
    made.args = made.args.empty() ? own : own.empty() ? made.args : own + "&" + made.args;
    path = path.substr(0, question);
  }
  net::unescape_uri(made.uri, path, false);
  made.sees = static_cast<subrequest::variables>(number_at(state, place::sees));
  if (const auto asked = static_cast<std::uint32_t>(number_at(state, place::method));
      asked != made.method) {
    made.method = asked;
    made.method_name = net::method_text(asked);
  }
  if (made.method_name.empty()) {
    if (x.enabled(log_level::error)) {
      x.write(log_level::error, "unsupported HTTP method: " + std::to_string(made.method));
    }
    return false;
  }
  if (lua_objlen(state, -1) <= place::sees) return true;
  lua_rawgeti(state, -1, place::body);
  made.has_body = lua_isstring(state, -1) != 0;
  lua_pop(state, 1);
  made.body = text_at(state, place::body);
  lua_rawgeti(state, -1, place::forward);
  made.always_forward_body = lua_toboolean(state, -1) != 0;
  lua_pop(state, 1);
  each_field(state, place::headers, [&](std::string_view name, std::string_view value) {
    made.headers.emplace_back(name, value);
  });
  bool good = true;
  const net::variable_table& variables = *current.machine->options().variables;
  each_field(state, place::vars, [&](std::string_view name, std::string_view value) {
    const net::variable_index index = variables.find(name);
    const bool is_changeable = index >= 0 && variables.at(index).changeable;
    if (is_changeable) {
      made.assigned.emplace_back(index, value);
      return;
    }
    good = false;
    if (x.enabled(log_level::error)) {
      x.write(log_level::error,
              "variable \"" + std::string(name) +
                  (index >= 0 ? "\" not changeable"
                              : "\" cannot be assigned a value (maybe you forgot to define it first?)"));
    }
  });
  lua_rawgeti(state, -1, place::ctx);
  if (good && lua_istable(state, -1)) {
    made.ctx_slot = current.machine->new_ctx_slot();
    current.machine->push_ctx_tables(state);
    lua_pushvalue(state, -2);
    lua_rawseti(state, -2, made.ctx_slot);
    lua_pop(state, 1);
  }
  lua_pop(state, 1);
  return good;
}

void push_headers(lua_State* state, const subrequest& answered) {
  lua_createtable(state, 0, static_cast<int>(answered.answer_headers.size()) + 1);
  for (const auto& [name, value] : answered.answer_headers) {
    lua_pushlstring(state, name.data(), name.size());
    lua_pushvalue(state, -1);
    lua_rawget(state, -3);
    if (lua_isnil(state, -1)) {
      lua_pop(state, 1);
      lua_pushlstring(state, value.data(), value.size());
    } else if (lua_istable(state, -1)) {
      lua_pushlstring(state, value.data(), value.size());
      lua_rawseti(state, -2, static_cast<int>(lua_objlen(state, -2)) + 1);
    } else {  // The second of the name: a list from here on.
      lua_createtable(state, 2, 0);
      lua_insert(state, -2);
      lua_rawseti(state, -2, 1);
      lua_pushlstring(state, value.data(), value.size());
      lua_rawseti(state, -2, 2);
    }
    lua_rawset(state, -3);
  }
  if (answered.answer_length >= 0) {
    lua_pushnumber(state, static_cast<lua_Number>(answered.answer_length));
    lua_setfield(state, -2, "Content-Length");
  }
}

int finish(lua_State* state, void* operation) {
  const std::unique_ptr<capture_wait> wait(static_cast<capture_wait*>(operation));
  const int count = static_cast<int>(wait->parts.size());
  lua_checkstack(state, count + 12);
  // The names once, for all answers: to make a Lua string takes longer than to set a field.
  const int names = lua_gettop(state) + 1;
  for (const char* name : {"status", "body", "truncated", "header"}) lua_pushstring(state, name);
  for (const auto& answered : wait->parts) {
    lua_createtable(state, 0, 4);
    lua_pushvalue(state, names);
    lua_pushinteger(state, answered->status);
    lua_rawset(state, -3);
    lua_pushvalue(state, names + 1);
    lua_pushlstring(state, answered->answer.data(), answered->answer.size());
    lua_rawset(state, -3);
    lua_pushvalue(state, names + 2);
    lua_pushboolean(state, answered->truncated ? 1 : 0);
    lua_rawset(state, -3);
    lua_pushvalue(state, names + 3);
    push_headers(state, *answered);
    lua_rawset(state, -3);
  }
  return count;
}

void cancel(void* operation) noexcept { delete static_cast<capture_wait*>(operation); }

// capture(list): a list of requests that capture.lua has checked -> an answer for each
int capture(lua_State* state) {
  net::exchange& x = *current.exchange;
  // Room for the answers, now: finish() runs where nobody would catch an error.
  if (lua_checkstack(state, static_cast<int>(lua_objlen(state, 1)) + 16) == 0) {
    if (x.enabled(log_level::error)) x.write(log_level::error, "too many subrequests at once");
    return luaL_error(state, "failed to issue subrequest: -1");
  }
  auto wait = std::make_unique<capture_wait>();
  wait->x = &x;
  wait->host = &current.running->host();
  ++x.pending_subrequests;
  const int count = static_cast<int>(lua_objlen(state, 1));
  bool good = x.owner != nullptr;
  for (int i = 1; i <= count && good; ++i) {
    lua_rawgeti(state, 1, i);
    auto made = std::make_unique<part>();
    made->whole = wait.get();
    made->machine = current.machine;
    good = read_part(state, x, *made);
    lua_pop(state, 1);
    wait->parts.push_back(std::move(made));
  }
  for (std::size_t i = 0; i < wait->parts.size() && good; ++i) {
    part& asked = *wait->parts[i];
    if (x.enabled(log_level::debug)) {
      x.write(log_level::debug, "lua http subrequest \"" + asked.uri + "?" + asked.args + "\"");
    }
    good = x.owner->start_subrequest(x, asked);
  }
  if (!good) {
    wait.reset();
    return luaL_error(state, "failed to issue subrequest: -1");
  }
  wait->unanswered = wait->parts.size();
  capture_wait* operation = wait.release();
  const wait_token token = script::begin_wait(state, operation, finish, cancel);
  operation->token = token;
  script::of(state)->pinned = "pending subrequests";
  return lua_yield(state, 0);
}

// is_unsafe(uri)
int is_unsafe(lua_State* state) {
  std::size_t size = 0;
  const char* uri = luaL_checklstring(state, 1, &size);
  lua_pushboolean(state, net::is_unsafe_path({uri, size}) ? 1 : 0);
  return 1;
}

constexpr luaL_Reg functions[] = {{"capture", capture}, {"is_unsafe", is_unsafe}, {nullptr, nullptr}};

}  // namespace

const api_area capture_area{.name = "capture",
                            .cdef = {},
                            .table = nullptr,
                            .source =
                                {
#include "lua/api/capture.lua.inc"
                                },
                            .functions = functions};

}  // namespace troupe::lua
