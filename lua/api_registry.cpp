// SPDX-License-Identifier: Apache-2.0
#include "lua/api_registry.hpp"

#include <array>

#include "lua/api/areas.hpp"

namespace troupe::lua {
namespace {

constexpr std::string_view check_source = {
#include "lua/api/check.lua.inc"
};

constexpr const char* settlers = "troupe.settlers";

// (cdef, type name, address) -> the struct as cdata.
constexpr std::string_view cast_source = R"lua(
local ffi = require "ffi"
local cdef, name, address = ...
ffi.cdef(cdef)
return ffi.cast("const troupe_ffi_" .. name .. "*", address)
)lua";

int load(lua_State* state, std::string_view source, const char* name) {
  return luaL_loadbuffer(state, source.data(), source.size(), name);
}

std::string take_error(lua_State* state) {
  const char* text = lua_tostring(state, -1);
  std::string error = text != nullptr ? text : "unknown error";
  lua_pop(state, 1);
  return error;
}

std::string install_area(lua_State* state, const api_area& area, int ngx, int check) {
  std::string chunk_name = std::string("=ngx.") + area.name;
  if (area.source.empty()) return {};
  if (load(state, area.source, chunk_name.c_str()) != 0) return take_error(state);
  if (area.table != nullptr) {
    if (load(state, cast_source, "=ngx.ffi") != 0) return take_error(state);
    lua_pushlstring(state, area.cdef.data(), area.cdef.size());
    lua_pushstring(state, area.name);
    lua_pushlightuserdata(state, const_cast<void*>(area.table));
    if (lua_pcall(state, 3, 1, 0) != 0) {
      std::string error = std::string(area.name) + ".ffi.h: " + take_error(state);
      lua_pop(state, 1);
      return error;
    }
  } else {
    lua_pushnil(state);
  }
  lua_pushvalue(state, ngx);
  lua_newtable(state);
  for (const luaL_Reg* f = area.functions; f != nullptr && f->name != nullptr; ++f) {
    lua_pushcfunction(state, f->func);
    lua_setfield(state, -2, f->name);
  }
  lua_pushvalue(state, check);
  if (lua_pcall(state, 4, 0, 0) != 0) return take_error(state);
  return {};
}

}  // namespace

std::string install(lua_State* state, std::span<const api_area* const> areas) {
  const int top = lua_gettop(state);
  lua_getglobal(state, "ngx");
  if (!lua_istable(state, -1)) {
    lua_pop(state, 1);
    lua_newtable(state);
    lua_pushvalue(state, -1);
    lua_setglobal(state, "ngx");
  }
  const int ngx = lua_gettop(state);
  if (load(state, check_source, "=ngx.check") != 0 || lua_pcall(state, 0, 1, 0) != 0) {
    std::string error = take_error(state);
    lua_settop(state, top);
    return error;
  }
  const int check = lua_gettop(state);
  lua_getfield(state, check, "settlers");
  lua_setfield(state, LUA_REGISTRYINDEX, settlers);
  for (const api_area* area : areas) {
    if (std::string error = install_area(state, *area, ngx, check); !error.empty()) {
      lua_settop(state, top);
      return error;
    }
  }
  lua_settop(state, top);
  return {};
}

std::string settle_areas(lua_State* state) {
  const int top = lua_gettop(state);
  lua_getfield(state, LUA_REGISTRYINDEX, settlers);
  for (int i = 1; i <= static_cast<int>(lua_objlen(state, top + 1)); ++i) {
    lua_rawgeti(state, top + 1, i);
    if (lua_pcall(state, 0, 0, 0) != 0) {
      std::string error = take_error(state);
      lua_settop(state, top);
      return error;
    }
  }
  lua_settop(state, top);
  return {};
}

std::span<const api_area* const> api_areas() noexcept {
  // The order matters: later areas use what earlier ones put into `ngx` and `check`.
  static constexpr std::array areas = {
      &core_area,   &value_text_area, &const_area,   &time_area, &codec_area,
      &digest_area, &ndk_area,        &coroutine_area, &log_area,  &output_area,
      &control_area, &capture_area, &header_area,    &request_area, &var_area,  &ctx_area,
      &re_area,     &shdict_area, &socket_tcp_area, &socket_udp_area, &ssl_area, &timer_area,
      &semaphore_area, &pipe_area, &process_area, &worker_thread_area, &actor_area, &config_area, &cluster_area,
      &require_area,
  };
  return areas;
}

}  // namespace troupe::lua
