// SPDX-License-Identifier: Apache-2.0
//
// What a release is made of: its files by path, mode, size and digest, and what it needs of the
// runtime. Two manifests that say the same have the same bytes, so that their digest names the
// release's content everywhere.
//
// Source   msgpack's specification; docs/architecture.md, "Releases as bytes", has the layout.
// Thread   any; a value.
// Errors   decode() takes bytes of strangers: bounded in count, length and depth; what encode()
//          would write otherwise is `malformed`.
// Called   by cluster/folder_reader, cluster/bundle, runtime/release_store, runtime/deployment.
#pragma once

#include "cluster/digest.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

struct manifest_file {
  std::string path;         ///< Relative, `/` between names; bytes, as the file system has them.
  bool executable = false;  ///< 0755, else 0644.
  std::uint64_t size = 0;
  digest content;
  bool operator==(const manifest_file&) const = default;
};

struct manifest {
  static constexpr std::size_t max_files = 100'000;
  static constexpr std::size_t max_path_bytes = 1024;
  static constexpr std::size_t max_name_bytes = 255;  ///< Of a part of a path.
  static constexpr std::size_t max_needs = 64;
  static constexpr std::size_t max_need_bytes = 64;

  std::vector<manifest_file> files;  ///< By path, bytewise, each once; sort() makes it so.
  std::vector<std::string> needs;    ///< Runtime features, sorted, each once.

  void sort();
  /// Whether files and needs are what decode() would take.
  [[nodiscard]] tl::expected<void, refusal> check() const;

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static tl::expected<manifest, refusal> decode(std::string_view bytes);

  [[nodiscard]] digest id() const;  ///< Of encode().
  [[nodiscard]] const manifest_file* find(std::string_view path) const;
  [[nodiscard]] std::uint64_t total_bytes() const;

  bool operator==(const manifest&) const = default;
};

/// Why this is no path for a release (absolute, "..", too long …), or nothing.
std::optional<refusal> check_path(std::string_view path);

enum class file_change { added, modified, removed };
std::string_view text(file_change change) noexcept;  ///< "added", "modified", "removed".

struct changed_file {
  std::string path;
  file_change change = file_change::modified;
  bool operator==(const changed_file&) const = default;
};

/// By path. A mode that changed is a modification.
std::vector<changed_file> compare(const manifest& from, const manifest& to);

}  // namespace troupe::cluster
