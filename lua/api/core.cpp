// SPDX-License-Identifier: Apache-2.0
//
// ngx.get_phase, ngx.is_subrequest, ngx.null and the metatable of `ngx`.
#include <cstddef>

extern "C" {
#include "lua/api/core.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {
namespace {

phase running_phase() noexcept {
  return current.running != nullptr ? current.running->where() : phase::none;
}

unsigned get_phase() noexcept { return static_cast<unsigned>(running_phase()); }
// The names are literals, so they end with a NUL.
const char* phase_name() noexcept { return name(running_phase()).data(); }
const char* phase_directive() noexcept { return directive_name(running_phase()).data(); }

int is_subrequest() noexcept {
  if (current.exchange == nullptr) return -1;
  return current.exchange->is_subrequest ? 1 : 0;
}

constexpr troupe_ffi_core table{.phase = get_phase,
                                .phase_name = phase_name,
                                .directive_name = phase_directive,
                                .output_phases = output_phases,
                                .request_phases = request_phases,
                                .is_subrequest = is_subrequest};

// null() -> ngx.null: equal to cjson.null, which is the same light userdata.
int null(lua_State* state) {
  lua_pushlightuserdata(state, nullptr);
  return 1;
}

constexpr luaL_Reg functions[] = {{"null", null}, {nullptr, nullptr}};

}  // namespace

const api_area core_area{.name = "core",
                         .cdef = {
#include "lua/api/core.ffi.h.inc"
                         },
                         .table = &table,
                         .source = {
#include "lua/api/core.lua.inc"
                         },
                         .functions = functions};

}  // namespace troupe::lua
