// SPDX-License-Identifier: Apache-2.0
//
// Releases as a node sees them: what it is given to load, what it has loaded and not yet put in, and
// what lives in it.
//
// Source   docs/architecture.md, "Releases".
// Thread   values: any. A prepared_release belongs to one thread at a time, never a shard's.
// Called   by runtime/node; its users are runtime/deployment and embedding programs.
#pragma once

#include "troupe/diagnostic.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

/// Where a release is found.
struct release_source {
  int number = 0;      ///< 0: it has none (yet); nginx's way of starting knows no numbers.
  std::string digest;  ///< "sha256:HEX"; empty: its files are not known by content.
  /// What relative paths of the configuration and of Lua start from: html, lua, certificates.
  std::string prefix;  ///< Absolute.
  std::string conf;    ///< Absolute, or relative to `prefix`.
  /// Where relative paths that are written to start from: logs, pid, temporary files, Unix sockets.
  std::string writable_prefix;  ///< Absolute; empty: `prefix`.
  /// The folder that the release was made from, if it is at hand: `lua_code_cache off` reads Lua files
  /// there and not in `prefix`. Empty: it is not.
  std::string app_folder;
};

/// A release that is ready to serve: loaded, its new sockets bound, init and init_worker run. Nothing
/// that serves has changed. Dropped without node::activate() it leaves nothing behind.
class prepared_release {
 public:
  prepared_release(prepared_release&&) noexcept;
  prepared_release& operator=(prepared_release&&) noexcept;
  ~prepared_release();

  /// Numbers are given late: by who has committed the release to a store.
  [[nodiscard]] int number() const noexcept;
  void number(int given) noexcept;

  [[nodiscard]] const diagnostics& warnings() const noexcept;
  [[nodiscard]] double load_ms() const noexcept;
  /// It was still warm: nothing had to be loaded.
  [[nodiscard]] bool was_warm() const noexcept;

 private:
  friend class node;
  struct state;
  explicit prepared_release(std::unique_ptr<state> made) noexcept;
  std::unique_ptr<state> state_;
};

struct swap_report {
  bool done = false;  ///< false: the node stops; nothing was changed and the release is dropped.
  int number = 0;
  int previous = 0;    ///< The one that served until now; 0: none, or one without a number.
  double load_ms = 0;  ///< From prepare() to its return.
  double swap_ms = 0;  ///< From the first message to a shard to the last shard's confirmation.
};

enum class release_state {
  active,    ///< New exchanges begin in it.
  warm,      ///< The one before: kept whole, so that going back to it loads nothing.
  draining,  ///< Ends with its last exchange, timer and actor.
};

struct live_release {
  int number = 0;
  std::string digest;
  release_state state = release_state::active;
  std::uint64_t exchanges = 0;  ///< Under way in it, subrequests apart.
};

/// "active", "warm", "draining"
[[nodiscard]] const char* name(release_state state) noexcept;

}  // namespace troupe
