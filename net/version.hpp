// SPDX-License-Identifier: Apache-2.0
//
// What the server says of itself, and which nginx it behaves like.
#pragma once

#include <string_view>

namespace troupe::net {

inline constexpr std::string_view version = "0.1.0";
inline constexpr std::string_view server_name = "troupe";
inline constexpr std::string_view server_token = "troupe/0.1.0";
/// The nginx whose behaviour and configuration language this is: ngx.config.nginx_version.
inline constexpr int nginx_version = 1022001;
inline constexpr int ngx_lua_version = 10032;

}  // namespace troupe::net
