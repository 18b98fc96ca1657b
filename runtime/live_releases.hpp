// SPDX-License-Identifier: Apache-2.0
//
// The releases that live in a node: what was loaded for each, and how far each has got.
//
// Source   "Releases" of docs/architecture.md; max_live_releases of docs/directives.md.
// Thread   any.
// Called   by runtime/node.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "actors/shard_release.hpp"
#include "runtime/loader.hpp"
#include "troupe/release.hpp"

namespace troupe {

/// One release, loaded.
struct loaded_release {
  release_source source;
  loaded_configuration conf;
  std::vector<std::shared_ptr<const actors::release_load>> loads;  ///< By shard.
};

class live_releases {
 public:
  using entry = std::shared_ptr<const loaded_release>;

  /// It serves from now on.
  /// @return those that have to be asked to end.
  std::vector<entry> put(entry next, int number);

  [[nodiscard]] entry active() const;
  [[nodiscard]] int active_number() const;
  /// The warm one, if it is this release.
  [[nodiscard]] entry warm(const release_source& source) const;
  /// Whether the active one stays warm when another takes its place.
  [[nodiscard]] bool keeps_active(const loaded_release& next) const;
  [[nodiscard]] std::vector<live_release> list() const;
  void clear();

 private:
  struct one {
    entry what;
    int number = 0;
    release_state state = release_state::active;
    bool is_asked = false;
  };
  static bool is_over(const one& release);

  mutable std::mutex mutex_;
  std::vector<one> all_;  ///< The youngest first.
};

}  // namespace troupe
