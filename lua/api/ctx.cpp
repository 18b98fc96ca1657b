// SPDX-License-Identifier: Apache-2.0
//
// ngx.ctx: a table for each exchange.
//
// Source   "ngx.ctx" of ngx_lua's README.
// Memory   the tables lie in one array of the VM, freed slot by slot when exchanges end.
#include <cstddef>

extern "C" {
#include "lua/api/ctx.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/vm.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {
namespace {

int slot() noexcept {
  if (current.exchange != nullptr) return current.exchange->ctx_ref;
  if (current.running == nullptr || current.running->where() == phase::init) return -1;
  return current.running->ctx_slot();
}

int take() noexcept {
  const int taken = current.machine->new_ctx_slot();
  current.running->ctx_slot() = taken;
  return taken;
}

constexpr troupe_ffi_ctx table{.slot = slot, .take = take};

// tables() -> the array
int tables(lua_State* state) {
  lua_getfield(state, LUA_REGISTRYINDEX, "troupe.vm");
  const auto* machine = static_cast<const vm*>(lua_touserdata(state, -1));
  lua_pop(state, 1);
  machine->push_ctx_tables(state);
  return 1;
}

constexpr luaL_Reg functions[] = {{"tables", tables}, {nullptr, nullptr}};

}  // namespace

const api_area ctx_area{.name = "ctx",
                        .cdef = {
#include "lua/api/ctx.ffi.h.inc"
                        },
                        .table = &table,
                        .source = {
#include "lua/api/ctx.lua.inc"
                        },
                        .functions = functions};

}  // namespace troupe::lua
