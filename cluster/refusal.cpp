// SPDX-License-Identifier: Apache-2.0
#include "cluster/refusal.hpp"

#include <cerrno>
#include <system_error>

namespace troupe::cluster {

refusal io_refusal(std::string_view call, const std::string& path, int error_number) {
  std::string reason(call);
  reason += " \"" + path + "\" failed (" + std::to_string(error_number) + ": " +
            std::generic_category().message(error_number) + ')';
  return {.errc = error_number == ENOENT ? refusal_errc::missing : refusal_errc::io,
          .reason = std::move(reason),
          .file = path};
}

}  // namespace troupe::cluster
