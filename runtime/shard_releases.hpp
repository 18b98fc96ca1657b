// SPDX-License-Identifier: Apache-2.0
//
// The releases of one shard beside the current one: the one that is kept warm, and those that drain,
// with the times at which what is left in them is ended.
//
// Source   "Releases" of docs/architecture.md; on_release, drain_timeout of docs/directives.md.
// Thread   the shard's.
// Called   by runtime/node.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "actors/shard.hpp"
#include "actors/shard_release.hpp"
#include "net/timer_wheel.hpp"

namespace troupe {

class shard_releases {
 public:
  using release = std::shared_ptr<actors::shard_release>;

  explicit shard_releases(actors::shard& home) : home_(home) {}

  /// Makes `next` the current one. The one before becomes the warm one, or drains; so does the one that
  /// was warm.
  void swap(release next, bool keeps_warm);
  /// Asks the release of this configuration to end, and ends what is left of it after the time.
  void ask(const actors::site* of, std::int64_t timeout_ms);
  [[nodiscard]] const release& warm() const noexcept { return warm_; }
  /// The shard stops, gracefully: all know.
  void wind_up();
  /// The shard ends: the warm one's exit_worker runs; `then` at its end.
  void end(std::function<void()> then);

 private:
  struct ending final : net::timer {
    std::weak_ptr<actors::shard_release> of;
    std::int64_t drain_ms = -1;  ///< As in shard::end_of().
    shard_releases* owner = nullptr;
    bool is_over = false;
    void on_timer() noexcept override;
  };
  void end_after(const release& of, std::int64_t ms, std::int64_t drain_ms);

  actors::shard& home_;
  release warm_;
  std::vector<std::weak_ptr<actors::shard_release>> draining_;
  std::list<ending> endings_;
};

}  // namespace troupe
