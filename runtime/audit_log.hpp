// SPDX-License-Identifier: Apache-2.0
//
// Who changed what of a node, from where, and how it ended: `audit.log` in the data folder, a JSON
// object a line, and a notice in the error log. Refused changes are in it too.
//
// Source   docs/admin-api.md, "The audit log".
// Thread   any; a line is one write in append mode.
// Errors   opening: a diagnostic. A line that cannot be written (a full disk) is lost; the change
// is
//          not, it is done already.
// Called   by runtime/deployment, runtime/admin_api.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "runtime/log_file.hpp"
#include "troupe/diagnostic.hpp"

namespace troupe {

/// Who wants a change.
struct change_author {
  std::string name;    ///< As the client says: "ann@laptop".
  std::string origin;  ///< As the node knows: "control socket, pid 7, uid 0", "HUP", "start".
};

class audit_log {
 public:
  [[nodiscard]] static tl::expected<audit_log, diagnostic> open(const std::string& data_folder);
  /// @param action   "apply", "rollback", "config set" …
  /// @param subject  "release 7", "limits.rate"; may be empty.
  /// @param result   "done", or why not.
  void write(std::string_view action, std::string_view subject, const change_author& by,
             std::string_view result, const net::log_context& log) const;

 private:
  explicit audit_log(std::shared_ptr<const log_file> file) : file_(std::move(file)) {}
  std::shared_ptr<const log_file> file_;
};

}  // namespace troupe
