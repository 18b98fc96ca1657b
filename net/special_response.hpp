// SPDX-License-Identifier: Apache-2.0
//
// The pages that stand in for a response when there is none: "404 Not Found" and its kin.
//
// Source   ngx_http_special_response_handler's pages, which tools and tests match.
// Thread   any; the pages are constant.
#pragma once

#include <string_view>

namespace troupe::net {

/// The HTML page of a status; empty for those without a body (204, 304, unknown ones).
/// @param tokens  with the version in the footer (server_tokens on).
std::string_view special_page(int status, bool tokens);

}  // namespace troupe::net
