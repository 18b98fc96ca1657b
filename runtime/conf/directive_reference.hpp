// SPDX-License-Identifier: Apache-2.0
//
// Renders docs/directives.md, the reference of all directives, from the rows of the table.
//
// Source   the layout of https://nginx.org/en/docs/dirindex.html's pages.
// Thread   any.
// Called   by the command that writes the docs, and the test that the committed page is current.
#pragma once

#include "runtime/conf/directive_table.hpp"

#include <string>

namespace troupe::conf {

/// The page as Markdown, modules and their rows in the order of the table.
[[nodiscard]] std::string directive_reference(const directive_table& table);

}  // namespace troupe::conf
