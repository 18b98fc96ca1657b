// SPDX-License-Identifier: Apache-2.0
//
// The constants of `ngx`, ngx.config and ngx.worker. A shard is what a worker process is in nginx:
// it has its number, and all have one process id.
//
// Source   "Core constants", "HTTP method constants", "HTTP status constants", "Nginx log level
//          constants", "ngx.config.*" and "ngx.worker.*" of ngx_lua's README.
#include <unistd.h>

#include <cstddef>

extern "C" {
#include "lua/api/const.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/vm.hpp"
#include "net/exchange.hpp"
#include "net/log.hpp"
#include "net/settings.hpp"
#include "net/version.hpp"

namespace troupe::lua {
namespace {

int pid() noexcept {
  return static_cast<int>(::getpid());
}
int is_exiting() noexcept {
  if (current.machine == nullptr || !current.machine->is_exiting()) return 0;
  const vm::standing now = current.machine->where();
  if (now == vm::standing::ending || current.exchange == nullptr ||
      current.exchange->settings == nullptr) {
    return 1;
  }
  // An exchange ends in its own time in a release that serves no more; on_release says more.
  switch (current.exchange->settings->on_release) {
    case net::release_policy::keep: return 0;
    case net::release_policy::drain: return 1;
    case net::release_policy::next_request: break;
  }
  return now == vm::standing::asked ? 1 : 0;
}

constexpr troupe_ffi_const table{.pid = pid, .is_exiting = is_exiting};

void set(lua_State* state, const char* field, std::string_view text) {
  lua_pushlstring(state, text.data(), text.size());
  lua_setfield(state, -2, field);
}

void set(lua_State* state, const char* field, int number) {
  lua_pushinteger(state, number);
  lua_setfield(state, -2, field);
}

// facts() -> what never changes for a VM: prefix, shard, shards, versions.
int facts(lua_State* state) {
  lua_getfield(state, LUA_REGISTRYINDEX, "troupe.vm");
  const auto* machine = static_cast<const vm*>(lua_touserdata(state, -1));
  lua_pop(state, 1);
  static const vm_options none{};
  const vm_options& options = machine != nullptr ? machine->options() : none;
  lua_createtable(state, 0, 7);
  set(state, "prefix", options.prefix);
  lua_pushboolean(state,
                  options.log != nullptr && options.log->enabled(net::log_level::debug) ? 1 : 0);
  lua_setfield(state, -2, "debug");
  set(state, "shard", options.shard);
  set(state, "shards", options.shards);
  set(state, "version", net::version);
  set(state, "nginx_version", net::nginx_version);
  set(state, "ngx_lua_version", net::ngx_lua_version);
  return 1;
}

constexpr luaL_Reg functions[] = {{"facts", facts}, {nullptr, nullptr}};

}  // namespace

const api_area const_area{.name = "const",
                          .cdef =
                              {
#include "lua/api/const.ffi.h.inc"
                              },
                          .table = &table,
                          .source =
                              {
#include "lua/api/const.lua.inc"
                              },
                          .functions = functions};

}  // namespace troupe::lua
