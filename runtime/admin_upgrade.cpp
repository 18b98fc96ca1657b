// SPDX-License-Identifier: Apache-2.0
//
// The control socket's /v1/upgrade: answers when another process serves, or with the reason.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "runtime/admin_api.hpp"
#include "runtime/admin_reply.hpp"
#include "runtime/versions.hpp"

namespace troupe {

admin_response admin_api::hand_over(const admin_request& asked) const {
  if (parts_.upgrading == nullptr) {
    return refusal(409, "no_upgrade", "this program does not replace itself");
  }
  const auto next =
      parts_.upgrading->perform(std::string(asked.parameter("binary")), author_of(asked));
  if (!next) {
    return refusal(422, "upgrade_failed", text(next.error()), next.error().hint);
  }
  return reply({{"pid", next->pid},
                {"version", next->version},
                {"old_pid", getpid()},
                {"old_version", troupe_version()}});
}

}  // namespace troupe
