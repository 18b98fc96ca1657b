// SPDX-License-Identifier: Apache-2.0
//
// The releases that a node has: troupe.db says which there are and which is active, store/ has
// their contents by digest, trees/ has them laid out as folders. kill -9 or a power cut at any
// moment leaves the old active release or the new one.
//
// Source   docs/architecture.md, "Releases as bytes"; SQLite's documentation of WAL.
// Thread   any; a mutex around the database. Calls read and write files: none of a shard's.
// Errors   diagnostics that name the file; on a failure nothing has changed.
// Called   by runtime/deployment; the command line when no node runs.
#pragma once

#include "cluster/blob_store.hpp"
#include "cluster/manifest.hpp"
#include "runtime/config_values.hpp"
#include "runtime/refusal_diagnostic.hpp"
#include "runtime/release_diff.hpp"
#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace troupe {

struct release_record {
  int number = 0;          ///< From 1.
  int parent = 0;          ///< The one that was active when it was committed; 0: none.
  cluster::digest digest;  ///< Of its manifest.
  std::string author;
  std::string message;
  std::chrono::system_clock::time_point time;  ///< Of the commit, in milliseconds.
};

struct release_draft {
  cluster::manifest manifest;
  std::string author;
  std::string message;
  int parent = 0;  ///< The release that must be active for the commit to succeed; 0: none is.
  std::chrono::system_clock::time_point time;
};

/// Why a commit or an activation was not.
struct commit_refusal {
  diagnostic problem;
  std::optional<int> lost_against;  ///< Somebody else was first: what is active instead.
};

struct pruned {
  std::vector<int> releases;
  std::vector<std::string> trees;  ///< Their folders.
  cluster::blob_store::swept contents;
};

class release_store {
 public:
  /// Makes or opens the store of a data folder. A database of a newer troupe or a damaged one is
  /// refused with what to do.
  [[nodiscard]] static tl::expected<release_store, diagnostic> open(
      std::string data_folder, cluster::disk::step_hook before_step = nullptr);
  release_store(release_store&&) noexcept;
  release_store& operator=(release_store&&) noexcept;
  ~release_store();

  [[nodiscard]] cluster::blob_store& blobs() noexcept;
  [[nodiscard]] config_values& config() noexcept;

  /// The manifest's files laid out in a folder, made or repaired as needed; its contents must be in
  /// blobs(). @return absolute, with a slash at its end.
  [[nodiscard]] tl::expected<std::string, diagnostic> tree(const cluster::manifest& files);

  /// Makes the draft a release and the active one, in one transaction. Its contents must be in
  /// blobs(). @return its number.
  [[nodiscard]] tl::expected<int, commit_refusal> commit(const release_draft& draft);

  /// Makes an older release the active one.
  /// @param expect  what must be active now.
  [[nodiscard]] tl::expected<void, commit_refusal> activate(int number,
                                                            std::optional<int> expect = {});

  /// The newest first.
  [[nodiscard]] tl::expected<std::vector<release_record>, diagnostic> list() const;
  /// "no release 9" if there is none.
  [[nodiscard]] tl::expected<release_record, diagnostic> find(int number) const;
  [[nodiscard]] tl::expected<std::optional<release_record>, diagnostic> active() const;
  [[nodiscard]] tl::expected<cluster::manifest, diagnostic> manifest_of(int number) const;
  /// A file of a release.
  [[nodiscard]] tl::expected<std::string, diagnostic> read(int number, std::string_view path) const;

  /// By path. @param from  0: nothing, so that all of `to` is added.
  [[nodiscard]] tl::expected<std::vector<file_diff>, diagnostic> diff(int from, int to) const;

  /// What forget() leaves to remove().
  struct leftovers {
    pruned gone;
    std::vector<std::string> trees;           ///< Of no release any more, under other names.
    std::set<cluster::digest> manifests;      ///< Of those that stay.
    std::optional<cluster::blob_store::moment> since;
  };
  /// Forgets all but the newest `keep` releases, the active one and those in use, and takes away the
  /// names of the other trees; these stay while another process has the store open, which may serve
  /// from them. Short: nobody may apply meanwhile.
  /// @param keep_trees  in use without a number: digests of manifests that are being prepared.
  [[nodiscard]] tl::expected<leftovers, diagnostic> forget(
      std::size_t keep, const std::set<int>& in_use,
      const std::set<cluster::digest>& keep_trees = {});
  /// Removes these trees, and the contents that no release refers to. May take long; nobody has to wait
  /// for it. Contents stay from when somebody holds blobs(), for the next time. One thread at a time.
  [[nodiscard]] tl::expected<pruned, diagnostic> remove(leftovers from,
                                                        const std::stop_token& stop = {});

  /// Of a node whose releases are the cluster's: removes all trees but those of these manifests, and all
  /// contents but these.
  [[nodiscard]] tl::expected<pruned, diagnostic> sweep(
      const std::set<cluster::digest>& trees, const std::unordered_set<cluster::digest>& contents);

 private:
  struct state;
  explicit release_store(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

}  // namespace troupe
