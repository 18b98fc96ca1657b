// SPDX-License-Identifier: Apache-2.0
#include "runtime/socket_aside.hpp"

#include <cerrno>
#include <cstdio>
#include <tuple>

#include <unistd.h>

#include "runtime/log_file.hpp"
#include "runtime/system_hint.hpp"

namespace troupe {

tl::expected<void, diagnostic> socket_aside::begin() const {
  unlink(aside_.c_str());
  if (link(path_.c_str(), aside_.c_str()) != 0 && errno != ENOENT) {
    return tl::unexpected(system_problem("link", path_, errno));
  }
  return {};
}

void socket_aside::end() const { unlink(aside_.c_str()); }

void socket_aside::undo() const {
  // Two names of one file: rename() does nothing and leaves both.
  std::ignore = rename(aside_.c_str(), path_.c_str());
  unlink(aside_.c_str());
}

}  // namespace troupe
