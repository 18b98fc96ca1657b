// SPDX-License-Identifier: Apache-2.0
//
// What cluster/ says of bytes that cannot be used, as the message that a user sees.
//
// Thread   any.
// Called   by runtime/release_store, runtime/commands/apply, push.
#pragma once

#include "cluster/refusal.hpp"
#include "troupe/diagnostic.hpp"

namespace troupe {

[[nodiscard]] diagnostic to_diagnostic(const cluster::refusal& why);

}  // namespace troupe
