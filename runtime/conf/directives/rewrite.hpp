// SPDX-License-Identifier: Apache-2.0
//
// What directives of other modules add to the rewrite program: set_by_lua.
#pragma once

#include "runtime/conf/builder.hpp"

namespace troupe::conf {

actors::rewrite_operation& add_operation(builder& b, actors::rewrite_operation::kind what);

/// `$name` as a variable that can be assigned; reports if it cannot be.
net::variable_index define_variable(builder& b, const directive& d, std::string_view name);

}  // namespace troupe::conf
