// SPDX-License-Identifier: Apache-2.0
//
// Where the cluster's history is kept: on a node's disk (cluster/sqlite_log), in etcd
// (cluster/etcd_log), in memory for tests and simulated nodes (cluster/memory_log). From time to
// time a snapshot takes the place of what came before it.
//
// Source   docs/cluster.md, "State" and "Controllers".
// Thread   cluster. append() may call `done` at once, or later on the same thread (from poll()); a
//          follower's own log calls it at once.
// Errors   refusals; after one nothing was appended. `not_leader` if another controller was first.
// Called   by cluster/controller, cluster/follower.
#pragma once

#include "cluster/change.hpp"

#include <functional>
#include <optional>
#include <vector>

namespace troupe::cluster {

class change_log {
 public:
  virtual ~change_log() = default;

  [[nodiscard]] virtual position head() const = 0;
  /// The seq after which read() can begin.
  [[nodiscard]] virtual std::uint64_t begins_after() const = 0;
  using appended = std::function<void(tl::expected<void, refusal>)>;
  /// The change that follows head(). Durable when `done` is called.
  virtual void append(const change& next, appended done) = 0;
  /// Several at once, all or none; by logs that a follower has, which answer at once.
  [[nodiscard]] virtual tl::expected<void, refusal> append_all(const std::vector<change>& next) = 0;
  /// Changes after this seq, the oldest first, at most so many bytes but one at least; `missing` if
  /// it has been cut away.
  [[nodiscard]] virtual tl::expected<std::vector<change>, refusal> read(
      std::uint64_t after_seq, std::size_t max_bytes) const = 0;
  /// The last snapshot: cluster_state::encode(). read() reaches back to the one before it, so that
  /// who is only a little behind need not take a snapshot.
  [[nodiscard]] virtual tl::expected<std::optional<std::string>, refusal> snapshot() const = 0;
  /// Puts a snapshot in, of an `at` that read() reaches; changes up to the snapshot before it are
  /// forgotten.
  [[nodiscard]] virtual tl::expected<void, refusal> keep_snapshot(const position& at,
                                                                  std::string_view bytes) = 0;
  /// Another history in place of this one, at once: a snapshot (empty bytes: the beginning) and the
  /// changes since. What was acknowledged here and is not part of it is kept aside, for people.
  [[nodiscard]] virtual tl::expected<void, refusal> replace(const position& at,
                                                            std::string_view bytes,
                                                            const std::vector<change>& since,
                                                            const std::vector<change>& lost) = 0;
  [[nodiscard]] virtual tl::expected<std::vector<change>, refusal> aside() const = 0;
  /// Lets what it waits for happen; not needed by logs that never wait.
  virtual void poll() {}
};

}  // namespace troupe::cluster
