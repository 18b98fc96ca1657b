// SPDX-License-Identifier: Apache-2.0
//
// Writes JSON for `--json`: what the commands print is small and flat, so it is built as text.
//
// Source   RFC 8259, section 7.
// Thread   any.
// Called   by runtime/commands.
#pragma once

#include <string>
#include <string_view>

namespace troupe {

/// A JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string json_string(std::string_view bytes);

}  // namespace troupe
