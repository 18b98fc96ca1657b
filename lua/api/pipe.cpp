// SPDX-License-Identifier: Apache-2.0
//
// The module ngx.pipe: Lua's side of lua/pipe. pipe.lua checks arguments and keeps the process alive
// while one of its methods waits.
//
// Source   "ngx.pipe" of lua-resty-core (its lib/ngx/pipe.md).
// Thread   that of the VM.
// Memory   a process is a userdata; the child goes with it or with the request, whichever ends first.
#include "lua/pipe.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <string>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"

namespace troupe::lua {
namespace {

constexpr const char* type_name = "troupe.pipe_process";

using part = pipe_process::part;
using goal = pipe_process::goal;
using handle = std::unique_ptr<pipe_process>;

// pipe.lua has seen to it that argument 1 is one.
pipe_process& process_of(lua_State* state) { return **static_cast<handle*>(lua_touserdata(state, 1)); }

std::string text_at(lua_State* state, int index) {
  std::size_t size = 0;
  const char* text = lua_tolstring(state, index, &size);
  return {text, size};
}

std::size_t size_at(lua_State* state, int index) {
  const lua_Number number = lua_tonumber(state, index);
  constexpr lua_Number most = 1e15;
  return number < most ? static_cast<std::size_t>(number) : static_cast<std::size_t>(most);
}

std::vector<std::string> texts_at(lua_State* state, int index) {
  std::vector<std::string> result;
  const std::size_t count = lua_objlen(state, index);
  result.reserve(count);
  for (std::size_t i = 1; i <= count; ++i) {
    lua_rawgeti(state, index, static_cast<int>(i));
    result.push_back(text_at(state, -1));
    lua_pop(state, 1);
  }
  return result;
}

int collect(lua_State* state) {
  static_cast<handle*>(lua_touserdata(state, 1))->~handle();
  return 0;
}

// class() -> the metatable of processes.
int class_table(lua_State* state) {
  if (luaL_newmetatable(state, type_name) != 0) {
    lua_pushcfunction(state, collect);
    lua_setfield(state, -2, "__gc");
  }
  return 1;
}

// spawn(words, environment, merges_stderr, buffer_size, write, stdout, stderr and wait timeout)
// -> userdata, or nil and why not
int spawn(lua_State* state) {
  if (current.running == nullptr) return luaL_error(state, "no request found");
  auto* made = new (lua_newuserdata(state, sizeof(handle))) handle;
  luaL_getmetatable(state, type_name);
  lua_setmetatable(state, -2);
  std::string error;
  {
    pipe_process::options how;
    how.command.words = texts_at(state, 1);
    how.command.environment = texts_at(state, 2);
    how.command.merges_stderr = lua_toboolean(state, 3) != 0;
    how.buffer_size = size_at(state, 4);
    for (int i = 0; i < 4; ++i) {
      how.timeouts[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(lua_tonumber(state, 5 + i));
    }
    if (auto process = pipe_process::spawn(*current.running, how)) {
      *made = std::move(*process);
      return 1;
    } else {
      error = std::move(process.error());
    }
  }
  lua_pushnil(state);
  lua_pushlstring(state, error.data(), error.size());
  return 2;
}

// read(process, from stderr, kind, size)
int read(lua_State* state) {
  const part which = lua_toboolean(state, 2) != 0 ? part::err : part::out;
  return process_of(state).read(state, which, static_cast<goal>(lua_tointeger(state, 3)),
                                size_at(state, 4));
}

int write(lua_State* state) { return process_of(state).write(state, text_at(state, 2)); }

int wait(lua_State* state) { return process_of(state).wait(state); }

int pid(lua_State* state) {
  lua_pushinteger(state, process_of(state).pid());
  return 1;
}

// timeout(process, part, ms)
int timeout(lua_State* state) {
  process_of(state).timeout(static_cast<part>(lua_tointeger(state, 2)),
                            static_cast<std::int64_t>(lua_tonumber(state, 3)));
  return 0;
}

// shutdown(process, part)
int shutdown(lua_State* state) {
  if (const char* error = process_of(state).shutdown(static_cast<part>(lua_tointeger(state, 2)))) {
    lua_pushnil(state);
    lua_pushstring(state, error);
    return 2;
  }
  lua_pushboolean(state, 1);
  return 1;
}

// kill(process, signal)
int kill(lua_State* state) {
  const lua_Number number = lua_tonumber(state, 2);
  constexpr lua_Number most = std::numeric_limits<int>::max();
  const int signal = std::fabs(number) < most ? static_cast<int>(number) : -1;
  const std::string error = process_of(state).kill(signal);
  if (error.empty()) {
    lua_pushboolean(state, 1);
    return 1;
  }
  lua_pushnil(state);
  lua_pushlstring(state, error.data(), error.size());
  return 2;
}

constexpr luaL_Reg functions[] = {{"class", class_table}, {"spawn", spawn},     {"read", read},
                                  {"write", write},       {"wait", wait},       {"pid", pid},
                                  {"timeout", timeout},   {"shutdown", shutdown}, {"kill", kill},
                                  {nullptr, nullptr}};

}  // namespace

const api_area pipe_area{.name = "pipe",
                         .cdef = {},
                         .table = nullptr,
                         .source = {
#include "lua/api/pipe.lua.inc"
                         },
                         .functions = functions};

}  // namespace troupe::lua
