// SPDX-License-Identifier: Apache-2.0
//
// Another binary takes over from this process: it is started with the same arguments, gets the
// listening sockets and the lock of the data folder (runtime/inheritance), and says when it serves.
// Until then, and if it never does, this process goes on as before.
//
// Source   https://nginx.org/en/docs/control.html#upgrade; docs/operating.md, "Another binary".
// Thread   made by main before the environment and the folder change; the rest any.
// Errors   a diagnostic that says why the new one does not serve; nothing has changed then.
// Called   by runtime/commands/run, runtime/commands/nginx, runtime/admin_api.
#pragma once

#include <sys/types.h>

#include <functional>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <tl/expected.hpp>
#include <vector>

#include "net/socket.hpp"
#include "runtime/audit_log.hpp"
#include "troupe/diagnostic.hpp"
#include "troupe/options.hpp"

namespace troupe {

/// How this process was started, to start another one in the same way.
struct invocation {
  std::string binary;              ///< Its path at the start: another file may lie there by now.
  std::vector<std::string> words;  ///< Behind the program's name.
  std::vector<std::string> environment;
  std::string folder;  ///< Empty: it is not known.

  [[nodiscard]] static invocation of_this_process(std::vector<std::string> words);
};

struct successor {
  pid_t pid = 0;
  std::string version;
};

class upgrade {
 public:
  struct parts {
    std::function<std::vector<listening_socket>()> sockets;  ///< Copies, to be closed here.
    int lock = -1;                                           ///< Of the data folder.
    std::function<tl::expected<void, diagnostic>()> before;  ///< May be none.
    std::function<void()> done;                              ///< The new one serves.
    std::function<void()> failed;                            ///< It does not: undoes `before`.
    std::function<void()> deserted;  ///< It served, and has ended before this process. May be none.
    const audit_log* audit = nullptr;
    std::function<const net::log_context&()> log;
  };
  upgrade(invocation started, parts with) : started_(std::move(started)), parts_(std::move(with)) {}
  ~upgrade();

  /// @param binary  another path than its own; empty: its own.
  [[nodiscard]] tl::expected<successor, diagnostic> perform(const std::string& binary,
                                                            const change_author& by);

  [[nodiscard]] bool has_successor();

  /// Changes of what is stored hold this. Not owned: an upgrade is under way or done, and what
  /// would be changed here would be lost.
  [[nodiscard]] std::shared_lock<std::shared_mutex> change();

 private:
  tl::expected<successor, diagnostic> start(const std::string& binary);
  tl::expected<pid_t, diagnostic> spawn(const std::string& binary, int answer,
                                        const std::vector<listening_socket>& sockets) const;
  void follow(pid_t pid);

  invocation started_;
  parts parts_;
  std::shared_mutex gate_;
  bool is_closed_ = false;  ///< Under gate_.
  std::mutex mutex_;
  bool is_under_way_ = false;  ///< Under mutex_; so is what follows.
  std::optional<pid_t> successor_;
  net::unique_fd stop_read_, stop_write_;
  std::thread follower_;
};

}  // namespace troupe
