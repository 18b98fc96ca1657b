// SPDX-License-Identifier: Apache-2.0
//
// The registry of the Lua API: an area of `ngx.*` is one `api_area`, made of up to three short
// files beside each other in lua/api:
//
//   x.ffi.h  one C struct `troupe_ffi_x` of function pointers; C++ includes it, LuaJIT reads it as
//            cdef. No preprocessor lines, C comments only.
//   x.cpp    the functions (noexcept, no lua_State), the filled struct, the `api_area x_area`;
//            functions that wait are lua_CFunctions in `functions`.
//   x.lua    a chunk that is called once for each VM as  chunk(c, ngx, native, check)  where
//            c is the struct's cdata, ngx the global table, native a table of `functions`,
//            check the module lua/api/check.lua (texts of wrong arguments).
//
// FFI functions reach Lua as a table of pointers, so nothing has to be exported from the binary
// and an embedding program needs no linker flags.
//
// Thread   install: the thread that owns the VM. The areas themselves are constant.
// Called   by lua/vm.cpp; tests install areas into a bare lua_State.
#pragma once

#include <lua.hpp>

#include <span>
#include <string>
#include <string_view>

namespace troupe::lua {

struct api_area {
  const char* name;            ///< "time": also the chunk's name in tracebacks and of the struct.
  std::string_view cdef;       ///< Text of x.ffi.h; may be empty.
  const void* table;           ///< The filled troupe_ffi_x; may be null.
  std::string_view source;     ///< Text of x.lua; may be empty.
  const luaL_Reg* functions;   ///< Ends with {nullptr, nullptr}; may be null.
};

/// All areas in the order of their installation.
std::span<const api_area* const> api_areas() noexcept;

/// Makes the global `ngx` if needed and installs the areas.
/// @return empty, or the Lua error (a defect of ours: the texts are compiled in).
std::string install(lua_State* state, std::span<const api_area* const> areas);

/// What the areas wait for with check.settle(): what the VM is for is known. @return as install().
std::string settle_areas(lua_State* state);

}  // namespace troupe::lua
