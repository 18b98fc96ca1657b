// SPDX-License-Identifier: Apache-2.0
//
// The Lua modules that come with the binary, by the name that `require` knows them by. They are put
// into package.preload and compiled when somebody asks for them.
//
// Thread   that of the VM.
// Called   by lua/vm.cpp.
#pragma once

#include <lua.hpp>

#include <span>
#include <string_view>

namespace troupe::lua {

struct lib_module {
  const char* require_name;  ///< "resty.core"
  std::string_view source;
};

std::span<const lib_module> lib_modules() noexcept;

void preload(lua_State* state);

}  // namespace troupe::lua
