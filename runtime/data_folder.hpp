// SPDX-License-Identifier: Apache-2.0
//
// A node's data folder, held by one process: whoever holds it has locked its `troupe.pid`. The lock
// ends with the process however it ends, so nothing has to be cleaned up after a crash.
//
// Source   docs/getting-started.md, `--data`.
// Thread   main.
// Errors   the second process is told who has the folder.
// Called   by runtime/commands.
#pragma once

#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <string>

#include <sys/types.h>

namespace troupe {

class data_folder {
 public:
  /// Makes the folder (0700) if needed and takes it.
  [[nodiscard]] static tl::expected<data_folder, diagnostic> take(std::string path);

  /// Takes over from the process that gave its lock on to this one; what troupe.pid says stays as it
  /// is until own().
  [[nodiscard]] static tl::expected<data_folder, diagnostic> inherit(std::string path, int lock);
  /// Writes this process's number into troupe.pid.
  [[nodiscard]] tl::expected<void, diagnostic> own();
  /// Another process has it now, and alone: the end of this one leaves no trace, and if that one ends
  /// first the folder is free.
  void give_away() noexcept;
  /// All that is in it becomes this user's, for the process is about to become it.
  [[nodiscard]] tl::expected<void, diagnostic> give_to(uid_t user, gid_t group) const;
  [[nodiscard]] int lock() const noexcept { return lock_; }

  /// Where the data of a node lies if nobody says: `$TROUPE_DATA`, `/var/lib/troupe/NAME` as root,
  /// else `$XDG_STATE_HOME/troupe/NAME` (`~/.local/state`).
  static std::string default_path(const std::string& name);

  data_folder(data_folder&& other) noexcept;
  ~data_folder();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  data_folder(std::string path, int lock);
  std::string path_;
  int lock_;
  bool is_owner_ = false;
};

}  // namespace troupe
