// SPDX-License-Identifier: Apache-2.0
//
// The control socket's name while another process may take it: what took it and then failed must not
// leave this process without one. A second name holds the socket until that is known.
//
// Source   docs/operating.md, "Another binary".
// Thread   any, one at a time.
// Errors   begin(): a diagnostic, nothing has changed.
// Called   by runtime/commands/run, runtime/cluster_node.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "troupe/diagnostic.hpp"

namespace troupe {

class socket_aside {
 public:
  explicit socket_aside(std::string path) : path_(std::move(path)), aside_(path_ + ".oldbin") {}

  [[nodiscard]] tl::expected<void, diagnostic> begin() const;
  void end() const;   ///< The name is the other process's.
  void undo() const;  ///< It is this one's again.

 private:
  std::string path_;
  std::string aside_;
};

}  // namespace troupe
