// SPDX-License-Identifier: Apache-2.0
//
// What an operator can do about what the system refused: the hint below a reason that names the errno.
//
// Source   errno(3).
// Thread   any.
// Called   by all of runtime that opens files.
#pragma once

#include <string>
#include <string_view>

#include "troupe/diagnostic.hpp"

namespace troupe {

/// Empty where there is nothing to say.
[[nodiscard]] std::string system_hint(int error_number);

/// `open() "/x" failed (13: Permission denied)`, and what to do: of a call that has to do with a file, or with
/// descriptors.
[[nodiscard]] diagnostic system_problem(std::string_view call, std::string_view path, int error_number);

/// The errno of a reason in nginx's form, `open "/x" failed (30: Read-only file system)`; 0: none.
[[nodiscard]] int error_number_in(std::string_view reason) noexcept;

}  // namespace troupe
