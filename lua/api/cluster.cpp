// SPDX-License-Identifier: Apache-2.0
//
// troupe.cluster: nodes, self, on_change, publish, subscribe, push.
//
// Source   docs/lua-api.md, "The cluster".
// Thread   that of the VM.
#include <cstddef>
#include <nlohmann/json.hpp>

extern "C" {
#include "lua/api/cluster.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/json_value.hpp"
#include "lua/script.hpp"
#include "lua/vm.hpp"
#include "net/live_cluster.hpp"

namespace troupe::lua {
namespace {

double version(const void* cluster) noexcept {
  return static_cast<double>(static_cast<const net::live_cluster*>(cluster)->version());
}

constexpr troupe_ffi_cluster table{.version = version};

net::live_cluster* cluster_of(lua_State* state) {
  lua_getfield(state, LUA_REGISTRYINDEX, "troupe.vm");
  const auto* machine = static_cast<const vm*>(lua_touserdata(state, -1));
  lua_pop(state, 1);
  return machine == nullptr ? nullptr : machine->options().cluster.get();
}

std::string text_at(lua_State* state, int index) {
  std::size_t size = 0;
  const char* text = lua_tolstring(state, index, &size);
  return text == nullptr ? std::string() : std::string(text, size);
}

void push_text(lua_State* state, std::string_view text) {
  lua_pushlstring(state, text.data(), text.size());
}

void set_text(lua_State* state, const char* name, std::string_view text) {
  push_text(state, text);
  lua_setfield(state, -2, name);
}

void set_number(lua_State* state, const char* name, double number) {
  lua_pushnumber(state, number);
  lua_setfield(state, -2, name);
}

void push_member(lua_State* state, const net::cluster_member& one) {
  lua_createtable(state, 0, 12);
  set_text(state, "name", one.name);
  set_text(state, "role", one.role);
  set_text(state, "version", one.version);
  if (!one.address.empty()) set_text(state, "address", one.address);
  if (!one.serves.empty()) set_text(state, "serves", one.serves);
  if (!one.problem.empty()) set_text(state, "problem", one.problem);
  lua_pushboolean(state, one.live ? 1 : 0);
  lua_setfield(state, -2, "live");
  set_number(state, "epoch", static_cast<double>(one.epoch));
  set_number(state, "seq", static_cast<double>(one.seq));
  set_number(state, "requests_per_second", one.requests_per_second);
  set_number(state, "errors_per_second", one.errors_per_second);
  lua_createtable(state, 0, static_cast<int>(one.labels.size()));
  for (const auto& [key, value] : one.labels) {
    push_text(state, key);
    push_text(state, value);
    lua_rawset(state, -3);
  }
  lua_setfield(state, -2, "labels");
  lua_createtable(state, 0, static_cast<int>(one.releases.size()));
  for (const auto& [app, release] : one.releases) {
    push_text(state, app);
    lua_pushnumber(state, release);
    lua_rawset(state, -3);
  }
  lua_setfield(state, -2, "releases");
}

// handle() -> what version() wants, or nil: no cluster
int handle(lua_State* state) {
  net::live_cluster* found = cluster_of(state);
  if (found == nullptr)
    lua_pushnil(state);
  else
    lua_pushlightuserdata(state, found);
  return 1;
}

int self(lua_State* state) {
  push_text(state, cluster_of(state)->self());
  return 1;
}

// nodes() -> {member}, the version of the list
int nodes(lua_State* state) {
  cluster_of(state)->watch();
  const auto now = cluster_of(state)->now();
  lua_createtable(state, static_cast<int>(now->list.size()), 0);
  int index = 0;
  for (const net::cluster_member& each : now->list) {
    push_member(state, each);
    lua_rawseti(state, -2, ++index);
  }
  lua_pushnumber(state, static_cast<lua_Number>(now->version));
  return 2;
}

int list_version(lua_State* state) {
  cluster_of(state)->watch();
  lua_pushnumber(state, static_cast<lua_Number>(cluster_of(state)->now()->version));
  return 1;
}

int last_message(lua_State* state) {
  lua_pushnumber(state, static_cast<lua_Number>(cluster_of(state)->last_message()));
  return 1;
}

// messages(since, topic) -> {payload, from, payload, from …}, the last number, how many were missed
int messages(lua_State* state) {
  const auto since = static_cast<std::uint64_t>(luaL_checknumber(state, 1));
  std::size_t size = 0;
  const char* topic = luaL_checklstring(state, 2, &size);
  const auto heard = cluster_of(state)->since(since, {topic, size});
  lua_createtable(state, static_cast<int>(2 * heard.messages.size()), 0);
  int index = 0;
  for (const auto& each : heard.messages) {
    push_text(state, each->payload);
    lua_rawseti(state, -2, ++index);
    push_text(state, each->from);
    lua_rawseti(state, -2, ++index);
  }
  lua_pushnumber(state, static_cast<lua_Number>(heard.last));
  lua_pushnumber(state, static_cast<lua_Number>(heard.missed));
  return 3;
}

int publish(lua_State* state) {
  cluster_of(state)->publish(text_at(state, 1), text_at(state, 2));
  return 0;
}

int subscribe(lua_State* state) {
  cluster_of(state)->subscribe(text_at(state, 1));
  return 0;
}

int unsubscribe(lua_State* state) {
  cluster_of(state)->unsubscribe(text_at(state, 1));
  return 0;
}

// push(path, app, message, to, require, canary, watch, stop_if, expect) -> a number for outcome()
int push(lua_State* state) {
  const auto number = cluster_of(state)->push({.path = text_at(state, 1),
                                               .app = text_at(state, 2),
                                               .message = text_at(state, 3),
                                               .to = text_at(state, 4),
                                               .require_percent = lua_tonumber(state, 5),
                                               .canary_percent = lua_tonumber(state, 6),
                                               .watch_seconds = lua_tonumber(state, 7),
                                               .stop_if = text_at(state, 8),
                                               .expect = lua_tointeger(state, 9)});
  lua_pushnumber(state, static_cast<lua_Number>(number));
  return 1;
}

// outcome(number) -> a table, or nil: not yet
int outcome(lua_State* state) {
  const auto number = static_cast<std::uint64_t>(luaL_checknumber(state, 1));
  const std::string json = cluster_of(state)->outcome(number);
  if (json.empty())
    lua_pushnil(state);
  else
    push_json(state, nlohmann::json::parse(json, nullptr, false));
  return 1;
}

// wait(version) -> true: it has moved; false: the release retires
int wait(lua_State* state) {
  const auto seen = static_cast<std::uint64_t>(luaL_checknumber(state, 1));
  if (script::of(state) == nullptr) return luaL_error(state, "no request found");
  return current.machine->cluster_waiters().wait(state, cluster_of(state)->version() != seen);
}

constexpr luaL_Reg functions[] = {{"handle", handle},
                                  {"self", self},
                                  {"nodes", nodes},
                                  {"list_version", list_version},
                                  {"last_message", last_message},
                                  {"messages", messages},
                                  {"publish", publish},
                                  {"subscribe", subscribe},
                                  {"unsubscribe", unsubscribe},
                                  {"push", push},
                                  {"outcome", outcome},
                                  {"wait", wait},
                                  {nullptr, nullptr}};

}  // namespace

const api_area cluster_area{.name = "cluster",
                            .cdef =
                                {
#include "lua/api/cluster.ffi.h.inc"
                                },
                            .table = &table,
                            .source =
                                {
#include "lua/api/cluster.lua.inc"
                                },
                            .functions = functions};

}  // namespace troupe::lua
