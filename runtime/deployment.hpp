// SPDX-License-Identifier: Apache-2.0
//
// How releases get into a node: what `troupe run`, `apply`, `rollback`, `--watch` and HUP have in
// common. An apply is: contents into the store, the tree laid out, the release loaded beside the
// one that serves, committed to the store, swapped in. Until the commit nothing has changed; after
// it the new one is what serves, now and after a restart.
//
// Source   docs/architecture.md, "Releases"; docs/admin-api.md.
// Thread   any but a shard's; changes exclude each other, a second one waits.
// Errors   deploy_refusal; the release that served serves on.
// Called   by runtime/admin_api, runtime/folder_watch, runtime/commands/run.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "cluster/blob_store.hpp"
#include "cluster/manifest.hpp"
#include "runtime/audit_log.hpp"
#include "runtime/pruner.hpp"
#include "runtime/release_store.hpp"
#include "troupe/node.hpp"

namespace troupe {

struct deploy_outcome {
  int release = 0;
  int parent = 0;  ///< The one that served before; 0: none.
  cluster::digest digest;
  std::vector<cluster::changed_file> changed;  ///< Against `parent`.
  bool is_new = false;  ///< false: it was known (a rollback) or nothing differs from what serves.
  bool is_anew = false;  ///< Nothing differs, and it was loaded all the same.
  double load_ms = 0;
  double swap_ms = 0;
};

enum class deploy_errc {
  check_failed,      ///< Of the release: syntax, init, files, ports …
  overtaken,         ///< Another release is active than was expected.
  storage_failed,    ///< The disk.
  unknown_release,   ///< No such number.
  missing_contents,  ///< The manifest names contents that nobody sent.
  stopping,          ///< The node.
};
/// "check_failed" …: the names in JSON.
std::string_view text(deploy_errc error) noexcept;

struct deploy_refusal {
  deploy_errc error = deploy_errc::check_failed;
  diagnostics problems;
  int active = 0;  ///< The release that serves.
};

using deploy_result = tl::expected<deploy_outcome, deploy_refusal>;

struct deploy_order {
  cluster::manifest files;
  std::string message;
  change_author by;
  std::optional<int> expect;  ///< What must be active; none: whatever.
  /// Loaded anew even if nothing differs from what serves; it keeps its number then.
  bool always = false;
  /// Keeps the contents in the store until they are committed; no longer, or a prune would remove
  /// none.
  cluster::blob_store::hold held;
};

class deployment {
 public:
  struct places {
    std::string writable_prefix;  ///< Of all its releases (troupe/release.hpp).
    std::string app_folder;       ///< What the node was started from; empty: nothing at hand.
  };

  /// @param keep  how many releases stay in the store at least.
  deployment(node& target, release_store& store, audit_log& audit, places where, std::size_t keep);

  /// What a node is started with: a release of this folder, the active one if nothing differs.
  struct start {
    release_source source;
    std::optional<release_draft> draft;  ///< To be committed once the node serves.
  };
  [[nodiscard]] static tl::expected<start, diagnostic> start_from(release_store& store,
                                                                  const places& where);
  /// The active release whatever the folder holds by now: another process of this node serves it.
  [[nodiscard]] static tl::expected<start, diagnostic> go_on_from(release_store& store,
                                                                  const places& where);

  /// The node has been started with it: commits.
  [[nodiscard]] tl::expected<void, diagnostic> started(const start& with);
  /// The node goes on in this process.
  void went_on(const start& with) const;

  /// The contents must be in the store, held (blob_store::keep_all) by the order.
  [[nodiscard]] deploy_result apply(deploy_order order);
  /// What was sent could not be put into the store.
  [[nodiscard]] deploy_result not_stored(const change_author& by, diagnostic why) const;
  /// Reads the folder that the node was started from, and applies it.
  /// @param always  as in deploy_order.
  [[nodiscard]] deploy_result apply_folder(const change_author& by, std::string message,
                                           bool always = false);
  /// @param to  none: the one before the active one, by history.
  [[nodiscard]] deploy_result rollback(std::optional<int> to, const change_author& by,
                                       std::optional<int> expect);

  /// Forgets old releases, soon and on another thread.
  void prune() { pruner_.wish(); }
  /// Another process is about to take the store over: nothing is removed until the next change.
  void stop_pruning() { pruner_.rest(); }

  [[nodiscard]] const places& where() const noexcept { return where_; }

 private:
  [[nodiscard]] tl::expected<int, deploy_refusal> active(std::optional<int> expect) const;
  [[nodiscard]] tl::expected<release_source, deploy_refusal> lay_out(const cluster::manifest& files,
                                                                     const cluster::digest& digest,
                                                                     int number) const;
  deploy_result apply_locked(deploy_order& order);
  deploy_result load_anew(const cluster::manifest& files, deploy_outcome outcome);
  deploy_result rollback_locked(std::optional<int> to, std::optional<int> expect);
  void prune_now(const std::stop_token& stop);
  [[nodiscard]] deploy_refusal refuse(deploy_errc error, diagnostics problems) const;
  void audit(std::string_view action, const change_author& by, const deploy_result& result) const;

  node& node_;
  release_store& store_;
  audit_log& audit_;
  places where_;
  std::size_t keep_;
  std::mutex changing_;
  pruner pruner_;  ///< The last one: it uses the others.
};

}  // namespace troupe
