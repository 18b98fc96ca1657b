// SPDX-License-Identifier: Apache-2.0
//
// What a `*_by_lua` directive runs: a chunk that was compiled when the release was loaded, or a file
// whose path is known only in a request, since it has variables, or which is read anew for each.
//
// Source   "content_by_lua_file" in ngx_lua's README: paths may have variables.
// Thread   shard.
// Called   by actors/stages/lua_stage, actors/stages/rewrite, actors/exchange_output.
#pragma once

#include <memory>
#include <tl/expected.hpp>

#include "net/complex_value.hpp"

namespace troupe::actors {

class exchange_box;

struct lua_code {
  int chunk = -1;                                  ///< -1: `file` names it, or there is none.
  std::shared_ptr<const net::complex_value> file;  ///< The path, for _file directives.

  explicit operator bool() const noexcept { return chunk >= 0 || file != nullptr; }

  /// The chunk, compiled now if need be. What fails is logged.
  /// @return otherwise why the file cannot be looked at (an errno), or 0: it can, but is no Lua.
  [[nodiscard]] tl::expected<int, int> find(exchange_box& box) const;
};

}  // namespace troupe::actors
