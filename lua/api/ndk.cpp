// SPDX-License-Identifier: Apache-2.0
//
// The global `ndk`: ndk.set_var.DIRECTIVE(value), the directives of set-misc-nginx-module that turn
// one value into another.
//
// Source   "ndk.set_var.DIRECTIVE" of ngx_lua's README; the README of set-misc-nginx-module.
#include "lua/api/areas.hpp"

namespace troupe::lua {

const api_area ndk_area{.name = "ndk",
                        .cdef = {},
                        .table = nullptr,
                        .source =
                            {
#include "lua/api/ndk.lua.inc"
                            },
                        .functions = nullptr};

}  // namespace troupe::lua
