// SPDX-License-Identifier: Apache-2.0
//
// Contents and snapshots as they travel: one zstd frame each, whose content size is in it.
//
// Source   RFC 8878; zstd's manual.
// Thread   any.
// Errors   decompress(): bytes of strangers, bounded before it allocates; `malformed`, `too_large`.
// Called   by cluster/blob_server, cluster/blob_fetcher, cluster/history_server, cluster/catch_up.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::cluster {

[[nodiscard]] std::string compress(std::string_view content);
[[nodiscard]] tl::expected<std::string, refusal> decompress(std::string_view frame,
                                                            std::uint64_t max_bytes);
/// No frame of so much content is longer.
[[nodiscard]] std::uint64_t compressed_bound(std::uint64_t content_bytes) noexcept;

}  // namespace troupe::cluster
