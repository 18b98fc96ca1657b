// SPDX-License-Identifier: Apache-2.0
//
// Bytes as text that needs no quoting anywhere.
//
// Source   RFC 4648, section 5, without padding.
// Thread   any.
// Called   by cluster/signing_key, cluster/join_token.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::cluster {

[[nodiscard]] std::string to_base64url(std::string_view bytes);
/// None: another letter, a length that none has, or bits that nobody would write.
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view text);

}  // namespace troupe::cluster
