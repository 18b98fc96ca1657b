// SPDX-License-Identifier: Apache-2.0
//
// What control sockets answer about another process that takes over: /v1/upgrade, and changes that
// come meanwhile.
//
// Source   docs/admin-api.md; docs/operating.md, "Another binary".
// Thread   any.
// Called   by runtime/admin_api, runtime/cluster_api.
#pragma once

#include "runtime/admin_message.hpp"
#include "runtime/upgrade.hpp"

namespace troupe {

/// Returns when another process serves, or with the reason why not.
/// @param upgrading  null: nobody takes over from this program.
[[nodiscard]] admin_response hand_over(upgrade* upgrading, const admin_request& asked);
/// To who wants to change what the other process has by now.
[[nodiscard]] admin_response stopping();

}  // namespace troupe
