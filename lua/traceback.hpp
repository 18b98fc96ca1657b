// SPDX-License-Identifier: Apache-2.0
//
// Tracebacks as ngx_lua writes them: one section for each coroutine from the one that failed up to
// the entry.
//
//   stack traceback:
//   coroutine 0:
//           [C]: in function 'error'
//           content_by_lua(nginx.conf:12):3: in main chunk
//
// Thread   that of the coroutine.
#pragma once

#include <string>

namespace troupe::lua {

struct coroutine;

void append_traceback(std::string& text, const coroutine& failed);

}  // namespace troupe::lua
