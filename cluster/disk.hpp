// SPDX-License-Identifier: Apache-2.0
//
// The calls that change a data folder: each says what failed, on which file, why. One place, so
// that tests can fail or die at every step.
//
// Source   POSIX; errno.
// Thread   any; `before_step` is called on the caller's.
// Errors   `io` refusals.
// Called   by cluster/blob_store, runtime/release_tree.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <sys/types.h>
#include <time.h>

namespace troupe::cluster {

class disk {
 public:
  /// Asked before each change; 0 lets it happen, an errno is what it fails with.
  using step_hook = std::function<int(std::string_view call, const std::string& path)>;

  explicit disk(step_hook before_step = nullptr);

  /// The folder and those above it, as far as they are missing.
  [[nodiscard]] tl::expected<void, refusal> make_folder(const std::string& path, mode_t mode) const;
  /// A new file with these bytes, not yet synced; nothing is left of it on a failure.
  [[nodiscard]] tl::expected<void, refusal> write_new(const std::string& path,
                                                      std::string_view bytes, mode_t mode) const;
  [[nodiscard]] tl::expected<void, refusal> sync_file(const std::string& path) const;
  [[nodiscard]] tl::expected<void, refusal> sync_folder(const std::string& path) const;
  /// All of the file system that a folder lies on.
  [[nodiscard]] tl::expected<void, refusal> sync_file_system(const std::string& path) const;
  /// Begins to write the file's bytes out; sync_file() then waits less.
  void begin_sync(const std::string& path) const;
  [[nodiscard]] tl::expected<void, refusal> rename(const std::string& from,
                                                   const std::string& to) const;
  [[nodiscard]] tl::expected<void, refusal> link(const std::string& from,
                                                 const std::string& to) const;
  [[nodiscard]] tl::expected<void, refusal> set_time(const std::string& path,
                                                     const timespec& modified) const;
  /// What is not there is removed already.
  [[nodiscard]] tl::expected<void, refusal> remove(const std::string& path) const;
  [[nodiscard]] tl::expected<void, refusal> remove_all(const std::string& path) const;

 private:
  [[nodiscard]] tl::expected<void, refusal> step(std::string_view call,
                                                 const std::string& path) const;
  step_hook before_step_;
};

/// A whole file; `missing` if there is none, `too_large` beyond max_bytes.
[[nodiscard]] tl::expected<std::string, refusal> read_whole(const std::string& path,
                                                            std::uint64_t max_bytes);

}  // namespace troupe::cluster
