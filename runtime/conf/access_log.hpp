// SPDX-License-Identifier: Apache-2.0
//
// `log_format` and `access_log`: a line for each exchange.
//
// Source   ngx_http_log_module.
// Thread   made by the loader; writing: any shard.
#pragma once

#include <memory>
#include <string_view>

#include "actors/site.hpp"
#include "runtime/log_file.hpp"

namespace troupe::conf {

struct log_format;
struct access_log_line;

log_format parse_log_format(actors::site& site, std::string_view text, bool escapes);

std::shared_ptr<const actors::access_log> make_access_log(std::shared_ptr<const log_file> file,
                                                          const log_format& format,
                                                          const net::variable_table& variables,
                                                          const access_log_line& line);

}  // namespace troupe::conf
