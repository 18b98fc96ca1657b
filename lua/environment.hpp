// SPDX-License-Identifier: Apache-2.0
//
// What os.getenv answers in the VMs of a release: `env` is part of the configuration, and a new
// release may have other values while the process keeps its environment.
//
// Source   https://nginx.org/en/docs/ngx_core_module.html#env; os.getenv of the Lua 5.1 manual.
// Thread   that of the VM.
// Called   by lua/vm.cpp.
#pragma once

#include <lua.hpp>

#include <map>
#include <string>

namespace troupe::lua {

struct environment {
  std::map<std::string, std::string> values;
  bool is_whole = false;  ///< What is not in it is nil; else the process is asked.
};

/// Replaces os.getenv.
void install(lua_State* state, const environment& what);

}  // namespace troupe::lua
