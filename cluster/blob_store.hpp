// SPDX-License-Identifier: Apache-2.0
//
// Contents by their digest, each a file: ROOT/ab/cdef… . What is in it is never changed; a content
// whose bytes are no longer those of its name is moved aside (NAME.damaged) and is then missing, so
// that the next put() heals it. Executable files of a release have a twin with that mode (NAME.x),
// because hard links share theirs.
//
// Source   docs/architecture.md, "Releases as bytes".
// Thread   any; a mutex inside.
// Errors   refusals that name the file. After a failed put() the store is as it was.
// Called   by runtime/release_store, runtime/deployment, cluster/bundle's readers.
#pragma once

#include "cluster/digest.hpp"
#include "cluster/disk.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_set>

namespace troupe::cluster {

class blob_store {
 public:
  /// Makes the folder; removes what a killed process left half-written.
  [[nodiscard]] static tl::expected<blob_store, refusal> open(
      std::string root, disk::step_hook before_step = nullptr);
  blob_store(blob_store&&) noexcept;
  blob_store& operator=(blob_store&&) noexcept;
  ~blob_store();

  /// From when one is taken sweep() removes nothing: take it before the has() or put() of an apply and
  /// keep it until the release is committed or refused.
  using hold = std::shared_ptr<const void>;
  [[nodiscard]] hold keep_all() const;

  /// Whether the content is here and whole. The first question about a content in this process
  /// reads it; later ones only look whether the file has changed.
  [[nodiscard]] bool has(const digest& name) const;

  /// The same with the reason, and whether it has as many bytes.
  [[nodiscard]] tl::expected<void, refusal> check(const digest& name, std::uint64_t size) const;

  /// Adds a content. It is readable at once and durable after flush().
  [[nodiscard]] tl::expected<digest, refusal> put(std::string_view content);
  /// The same for content from elsewhere; `damaged` if it is not what it is called.
  [[nodiscard]] tl::expected<void, refusal> put(const digest& name, std::string_view content);
  /// The same for a file.
  [[nodiscard]] tl::expected<digest, refusal> put_file(const std::string& path,
                                                       std::uint64_t max_bytes);

  /// Always verified. `missing`, or `damaged` (and moved aside).
  [[nodiscard]] tl::expected<std::string, refusal> get(const digest& name) const;

  /// The file to hard-link; verified as has() does; an executable's twin is made when missing.
  [[nodiscard]] tl::expected<std::string, refusal> path_of(const digest& name,
                                                           bool executable = false) const;

  /// What was put before is on the disk when it returns.
  [[nodiscard]] tl::expected<void, refusal> flush();

  struct swept {
    std::size_t files = 0;
    std::uint64_t bytes = 0;
  };
  /// A moment at which nobody holds the store; none if somebody does.
  using moment = std::uint64_t;
  [[nodiscard]] std::optional<moment> free_moment() const;

  /// Removes all contents but these, and damaged ones: a file at a time, so that nobody waits long, and
  /// no further once somebody has held the store since `since`, who may count on what was to go.
  /// @param since  from before it was known what to keep.
  tl::expected<swept, refusal> sweep(const std::unordered_set<digest>& keep,
                                     std::optional<moment> since,
                                     const std::stop_token& stop = {});

  [[nodiscard]] const std::string& root() const noexcept;

 private:
  struct state;
  explicit blob_store(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

}  // namespace troupe::cluster
