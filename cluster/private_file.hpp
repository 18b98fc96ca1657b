// SPDX-License-Identifier: Apache-2.0
//
// A file with a secret: only its owner may read it, and nothing is ever written over it.
//
// Source   POSIX.
// Thread   any.
// Errors   `denied` for a file that others can read or that belongs to somebody else; `conflict`
// for
//          one that is there already; `io`.
// Called   by cluster/signing_key, cluster/curve_key, cluster/trust_file,
//          cluster/key_folder.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstddef>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace troupe::cluster {

/// A new file, 0600; on the disk, whole, under its name when it returns.
[[nodiscard]] tl::expected<void, refusal> write_private(const std::string& path,
                                                        std::string_view bytes);
/// The same with another mode.
[[nodiscard]] tl::expected<void, refusal> write_once(const std::string& path,
                                                     std::string_view bytes, mode_t mode);
/// Of the user who runs this, or of root; `missing` if there is none.
[[nodiscard]] tl::expected<std::string, refusal> read_private(const std::string& path,
                                                              std::size_t max_bytes);
/// The same for a file that others may read but not write: one that says whom to trust.
[[nodiscard]] tl::expected<std::string, refusal> read_guarded(const std::string& path,
                                                              std::size_t max_bytes);

}  // namespace troupe::cluster
