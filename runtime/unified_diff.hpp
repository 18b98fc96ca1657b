// SPDX-License-Identifier: Apache-2.0
//
// The difference of two texts in `diff -u`'s form, which patch(1) takes.
//
// Source   POSIX diff, "-u"; E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986;
//          texts that differ very much are shown as replaced.
// Thread   any.
// Called   by runtime/release_store.
#pragma once

#include <string>
#include <string_view>

namespace troupe {

/// `--- FROM`, `+++ TO` and hunks with three lines around; empty if they are the same.
/// @param from_name  "a/lua/x.lua" or "/dev/null".
std::string unified_diff(std::string_view from, std::string_view to, std::string_view from_name,
                         std::string_view to_name);

/// Whether bytes are no text: a NUL among the first 8000, as git has it.
bool is_binary(std::string_view bytes) noexcept;

}  // namespace troupe
