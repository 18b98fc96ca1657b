// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a configuration, and where: the error type of everything in runtime/. A check
// gathers all that it finds, so functions return a `diagnostics`.
//
// Source   the forms are nginx's ("REASON in FILE:LINE") and compilers' ("FILE:LINE: REASON").
// Thread   any; a value.
// Called   by runtime/conf, the loader and the node; shown by runtime/commands and
//          runtime/nginx_invocation.
#pragma once

#include "net/log.hpp"

#include <string>
#include <vector>

namespace troupe {

struct diagnostic {
  std::string file;    ///< Empty: no file is to blame (a port in use, a missing folder).
  unsigned line = 0;   ///< From 1; 0: the whole file.
  std::string reason;  ///< In nginx's words where it has them, without "in FILE:LINE".
  std::string
      hint;  ///< What to try, a sentence of its own: `did you mean "server"?`; may be empty.
  net::log_level level = net::log_level::emerg;  ///< `warn` does not stop a start.
};

using diagnostics = std::vector<diagnostic>;

/// "conf/nginx.conf:12: unknown directive "sever"", without the hint; the form of `troupe`
/// commands.
std::string text(const diagnostic& problem);

/// "unknown directive "sever" in conf/nginx.conf:12"; the form of nginx and of the error log.
std::string nginx_text(const diagnostic& problem);

/// Whether one of them forbids a start.
bool is_fatal(const diagnostics& problems) noexcept;

}  // namespace troupe
