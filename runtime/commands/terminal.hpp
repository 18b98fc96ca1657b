// SPDX-License-Identifier: Apache-2.0
//
// What commands write: lines on stdout for what was asked, diagnostics on stderr, colour only for
// people (a terminal, and no NO_COLOR).
//
// Source   https://no-color.org; docs/getting-started.md.
// Thread   main.
// Called   by runtime/commands.
#pragma once

#include "troupe/diagnostic.hpp"

#include <cstdio>
#include <string_view>

namespace troupe {

/// One line on stdout, at once: who reads a pipe waits for it.
void say(std::string_view line);

/// "nginx.conf:3: reason" on stderr for each, its hint on a line of its own.
void complain(const diagnostics& problems);
void complain(const diagnostic& problem);

/// Whether what is written there may be coloured.
[[nodiscard]] bool has_colour(std::FILE* stream);

/// The lines of complain().
[[nodiscard]] std::string complaint(const diagnostic& problem, bool colour);

}  // namespace troupe
