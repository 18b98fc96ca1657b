// SPDX-License-Identifier: Apache-2.0
//
// Where a user's keys of clusters are when nothing else is said.
//
// Source   XDG Base Directory Specification.
// Thread   any.
// Called   by runtime/commands/shared_flags.
#pragma once

#include <string>

namespace troupe {

/// `/etc/troupe/keys` as root, else `$XDG_CONFIG_HOME/troupe/keys` (`~/.config`).
[[nodiscard]] std::string default_key_folder();

}  // namespace troupe
