// SPDX-License-Identifier: Apache-2.0
#include "lua/lib_registry.hpp"

#include <array>
#include <string>

namespace troupe::lua {
namespace {

constexpr std::string_view part = {
#include "lua/lib/resty/core/part.lua.inc"
};

constexpr std::array modules = {
    lib_module{"resty.core", {
#include "lua/lib/resty/core.lua.inc"
    }},
    lib_module{"resty.core.base", {
#include "lua/lib/resty/core/base.lua.inc"
    }},
    lib_module{"resty.core.utils", {
#include "lua/lib/resty/core/utils.lua.inc"
    }},
    lib_module{"resty.core.base64", part},
    lib_module{"resty.core.coroutine", part},
    lib_module{"resty.core.ctx", part},
    lib_module{"resty.core.exit", part},
    lib_module{"resty.core.hash", part},
    lib_module{"resty.core.misc", part},
    lib_module{"resty.core.ndk", part},
    lib_module{"resty.core.param", part},
    lib_module{"resty.core.phase", part},
    lib_module{"resty.core.regex", part},
    lib_module{"resty.core.request", part},
    lib_module{"resty.core.response", part},
    lib_module{"resty.core.shdict", part},
    lib_module{"resty.core.socket", part},
    lib_module{"resty.core.time", part},
    lib_module{"resty.core.uri", part},
    lib_module{"resty.core.var", part},
    lib_module{"resty.core.worker", part},
    lib_module{"ngx.resp", {
#include "lua/lib/ngx/resp.lua.inc"
    }},
};

// The loader of package.preload: (name) -> what the module returns.
int load_module(lua_State* state) {
  const char* name = luaL_checkstring(state, 1);
  for (const lib_module& module : lib_modules()) {
    if (std::string_view(module.require_name) != name) continue;
    const std::string chunk_name = std::string("=") + name;
    if (luaL_loadbuffer(state, module.source.data(), module.source.size(), chunk_name.c_str()) != 0) {
      break;
    }
    lua_pushvalue(state, 1);
    lua_call(state, 1, 1);
    return 1;
  }
  return lua_error(state);
}

}  // namespace

std::span<const lib_module> lib_modules() noexcept { return modules; }

void preload(lua_State* state) {
  lua_getglobal(state, "package");
  lua_getfield(state, -1, "preload");
  for (const lib_module& module : lib_modules()) {
    lua_pushcfunction(state, load_module);
    lua_setfield(state, -2, module.require_name);
  }
  lua_pop(state, 2);
}

}  // namespace troupe::lua
