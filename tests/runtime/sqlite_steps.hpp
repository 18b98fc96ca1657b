// SPDX-License-Identifier: Apache-2.0
//
// Sees each write, sync, truncation and removal that SQLite is about to do, and may fail it or end
// the process there. While one lives, databases are opened through it.
//
// Source   SQLite's sqlite3_vfs interface.
// Thread   one; one at a time in a process.
// Called   by tests/runtime/release_store_*_test.cpp.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace troupe::tests {

class sqlite_steps {
 public:
  /// 0 lets it happen; an errno makes it fail as it would with that. `end`: where in the file the
  /// write ends.
  using hook = std::function<int(std::string_view call, const std::string& path, long long end)>;
  explicit sqlite_steps(hook before_step);
  ~sqlite_steps();
  sqlite_steps(const sqlite_steps&) = delete;
  sqlite_steps& operator=(const sqlite_steps&) = delete;
};

}  // namespace troupe::tests
