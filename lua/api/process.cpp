// SPDX-License-Identifier: Apache-2.0
//
// The module ngx.process: what kind of process this is, and its end.
//
// Source   "ngx.process" of lua-resty-core (its lib/ngx/process.md).
// Thread   that of the VM.
#include <cstddef>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/vm.hpp"
#include "net/event_loop.hpp"
#include "net/log.hpp"

namespace troupe::lua {
namespace {

int is_single(lua_State* state) {
  lua_getfield(state, LUA_REGISTRYINDEX, "troupe.vm");
  const auto* machine = static_cast<const vm*>(lua_touserdata(state, -1));
  lua_pushboolean(state, machine != nullptr && machine->options().is_single_process ? 1 : 0);
  return 1;
}

// leave(): the node stops once this code has let the loop go.
int leave(lua_State*) {
  if (current.running == nullptr || !current.machine->options().leave) return 0;
  if (current.log != nullptr && current.log->enabled(net::log_level::notice)) {
    current.log->write(net::log_level::notice, "gracefully shutting down, as ngx.process asks");
  }
  current.running->host().loop().post(current.machine->options().leave);
  return 0;
}

constexpr luaL_Reg functions[] = {{"is_single", is_single}, {"leave", leave}, {nullptr, nullptr}};

}  // namespace

const api_area process_area{.name = "process",
                            .cdef = {},
                            .table = nullptr,
                            .source = {
#include "lua/api/process.lua.inc"
                            },
                            .functions = functions};

}  // namespace troupe::lua
