// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/directives/modules.hpp"

#include <array>

#include "runtime/conf/builder.hpp"

namespace troupe::conf {

std::span<const directive_module> all_modules() {
  static const std::array modules = {main_module,   http_module,    rewrite_module, access_module,
                                     log_module,    headers_module, echo_module,    lua_module,
                                     sockets_module, release_module};
  return modules;
}

}  // namespace troupe::conf
