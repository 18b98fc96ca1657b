// SPDX-License-Identifier: Apache-2.0
//
// What a configuration says about the process as a whole: limits, environment, folder, user. A node
// does not touch them, for it may not be alone in its process.
//
// Source   https://nginx.org/en/docs/ngx_core_module.html: env, user, worker_rlimit_nofile,
//          working_directory.
// Thread   main, before a second thread exists; drop_privileges() and name_thread(): any.
// Errors   a diagnostic in nginx's words.
// Called   by runtime/commands/run and runtime/nginx_invocation.
#pragma once

#include "troupe/node.hpp"

#include <tl/expected.hpp>

#include <optional>
#include <string>

#include <sys/types.h>

namespace troupe {

/// Environment, folder and limits. Without `worker_rlimit_nofile` the soft limit of open files
/// rises to the hard one, at most to 1,048,576.
[[nodiscard]] tl::expected<void, diagnostic> apply(const process_settings& settings);

struct process_identity {
  uid_t user = 0;
  gid_t group = 0;
};

/// Whom drop_privileges() will make of this process; none: it stays what it is.
[[nodiscard]] tl::expected<std::optional<process_identity>, diagnostic> identity_of(
    const process_settings& settings);

/// Becomes `settings.user` for good if the process is root's; to be called when everything
/// privileged is open. As in nginx, a single process (`master_process off`) stays what it is.
[[nodiscard]] tl::expected<void, diagnostic> drop_privileges(const process_settings& settings);

/// Names the calling thread as `top -H` shows it; 15 bytes of it.
void name_thread(const std::string& name) noexcept;

}  // namespace troupe
