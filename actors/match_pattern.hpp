// SPDX-License-Identifier: Apache-2.0
//
// Matches a regular expression of the configuration for an exchange: what it captures becomes $1, $2
// … and, where groups have names, variables of these names.
//
// Source   "Regular expressions" of ngx_http_core_module: location, server_name; `if` and `rewrite`.
// Thread   shard.
// Called   by connection, exchange_actor, stages/rewrite.
#pragma once

#include <string_view>

#include "lua/regex.hpp"
#include "net/exchange.hpp"
#include "net/variables.hpp"

namespace troupe::actors {

/// @param subject  copied if it matches: it may be a variable that changes.
bool match_pattern(const lua::regex& pattern, std::string_view subject, net::exchange& x,
                   const net::variable_table& variables);

}  // namespace troupe::actors
