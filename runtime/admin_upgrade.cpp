// SPDX-License-Identifier: Apache-2.0
#include "runtime/admin_upgrade.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "runtime/admin_reply.hpp"
#include "runtime/versions.hpp"

namespace troupe {

admin_response hand_over(upgrade* upgrading, const admin_request& asked) {
  if (upgrading == nullptr) {
    return refusal(409, "no_upgrade", "this program does not replace itself");
  }
  const auto next = upgrading->perform(std::string(asked.parameter("binary")), author_of(asked));
  if (!next) {
    return refusal(422, "upgrade_failed", text(next.error()), next.error().hint);
  }
  return reply({{"pid", next->pid},
                {"version", next->version},
                {"old_pid", getpid()},
                {"old_version", troupe_version()}});
}

admin_response stopping() {
  return refusal(503, "stopping", "another process of this node takes over",
                 "nothing has changed; ask again in a moment");
}

}  // namespace troupe
