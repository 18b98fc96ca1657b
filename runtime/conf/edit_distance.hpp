// SPDX-License-Identifier: Apache-2.0
//
// How far a mistyped word is from one that exists: insertions, deletions, replacements and swaps of
// neighbours (the optimal string alignment distance).
//
// Thread   any.
// Called   where a hint asks "did you mean": the directive table, the command line.
#pragma once

#include <cstddef>
#include <string_view>

namespace troupe::conf {

/// @return the number of edits, or anything above `limit` if there are more.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit);

}  // namespace troupe::conf
