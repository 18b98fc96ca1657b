// SPDX-License-Identifier: Apache-2.0
//
// The change log of who leads by etcd: one object for each time that it leads. A copy of the log is
// held in memory, and read from there; nobody else can append while this one may.
//
// An append is one transaction that compares the head and the leader's key. If its answer is lost
// it is tried again: its own change at the head means that it was done. When that cannot be found
// out while the lease lasts, or another leads, the answer is `not_leader`, and whoever reads the
// log next finds the change in it or not.
//
// Source   docs/cluster.md, "Controllers".
// Thread   cluster; a thread of its own asks etcd, and `wake` is called on it. Answers come in
//          poll(). Destroyed, it calls none that is still open.
// Errors   refusals. Without leading there is nothing to append: `not_leader`. A snapshot that etcd
//          does not take is logged, and the log stays longer until the next.
// Called   by cluster/etcd_seat.
#pragma once

#include "cluster/change_log.hpp"
#include "cluster/etcd_client.hpp"
#include "cluster/etcd_keys.hpp"
#include "cluster/log_function.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace troupe::cluster {

class etcd_log final : public change_log {
 public:
  using instant = std::chrono::steady_clock::time_point;
  struct options {
    etcd_address store;
    leader_fence fence;
    std::function<instant()> valid_until;  ///< Called on both threads.
    std::function<void()> wake;
    log_function log;
  };
  /// Begins to read what is in etcd.
  explicit etcd_log(options how);
  ~etcd_log() override;

  /// Set when all has been read, by poll(); before that the log is empty and takes nothing.
  [[nodiscard]] const std::optional<tl::expected<void, refusal>>& loaded() const noexcept;
  /// Of a log that is empty: what a cluster had before it came to etcd, a snapshot (empty bytes:
  /// none, and `at` is the beginning) and the changes since.
  void begin_with(const position& at, std::string bytes, std::vector<change> since, appended done);

  [[nodiscard]] position head() const override;
  [[nodiscard]] std::uint64_t begins_after() const override;
  void append(const change& next, appended done) override;
  /// Not of this log: `unsupported`.
  [[nodiscard]] tl::expected<void, refusal> append_all(const std::vector<change>& next) override;
  [[nodiscard]] tl::expected<std::vector<change>, refusal> read(
      std::uint64_t after_seq, std::size_t max_bytes) const override;
  [[nodiscard]] tl::expected<std::optional<std::string>, refusal> snapshot() const override;
  [[nodiscard]] tl::expected<void, refusal> keep_snapshot(const position& at,
                                                          std::string_view bytes) override;
  /// Not of this log: `unsupported`.
  [[nodiscard]] tl::expected<void, refusal> replace(const position& at, std::string_view bytes,
                                                    const std::vector<change>& since,
                                                    const std::vector<change>& lost) override;
  [[nodiscard]] tl::expected<std::vector<change>, refusal> aside() const override;
  void poll() override;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::cluster
