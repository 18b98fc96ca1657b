// SPDX-License-Identifier: Apache-2.0
//
// The modules of directives, one a file. A new one is declared here and listed in modules.cpp.
#pragma once

#include "runtime/conf/directive_table.hpp"

namespace troupe::conf {

extern const directive_module main_module;
extern const directive_module http_module;
extern const directive_module rewrite_module;
extern const directive_module access_module;
extern const directive_module log_module;
extern const directive_module headers_module;
extern const directive_module echo_module;
extern const directive_module lua_module;
extern const directive_module sockets_module;
extern const directive_module release_module;

}  // namespace troupe::conf
