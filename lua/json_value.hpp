// SPDX-License-Identifier: Apache-2.0
//
// JSON as a Lua value: elements of arrays begin at 1, null is ngx.null.
//
// Source   docs/lua-api.md, "Config values".
// Thread   that of the VM.
// Errors   what is nested too deep becomes ngx.null.
// Called   by lua/api/config.cpp, lua/api/cluster.cpp.
#pragma once

#include <lua.hpp>

#include <nlohmann/json_fwd.hpp>

namespace troupe::lua {

void push_json(lua_State* state, const nlohmann::json& value);

}  // namespace troupe::lua
