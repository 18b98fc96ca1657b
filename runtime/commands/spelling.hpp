// SPDX-License-Identifier: Apache-2.0
//
// What a mistyped word may have been meant to be, for hints.
//
// Thread   any.
// Called   by runtime/commands.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace troupe {

/// The candidates within few edits, the nearest first.
[[nodiscard]] std::vector<std::string_view> nearest(std::string_view word,
                                                    std::span<const std::string_view> candidates);

}  // namespace troupe
