// SPDX-License-Identifier: Apache-2.0
//
// The change log on a node's disk: an SQLite database in WAL mode with synchronous=FULL, one
// transaction an append. kill -9, a power cut or a full disk leaves the log before it or after it.
//
// Source   SQLite's pages "Write-Ahead Logging" and "PRAGMA quick_check"; docs/cluster.md, "State".
// Thread   cluster. append() calls `done` at once.
// Errors   open(): a damaged database, one of a newer troupe or of another program is refused with
// what
//          to do. Else `io` that names the file.
// Called   by cluster/agent.
#pragma once

#include "cluster/change_log.hpp"

#include <memory>
#include <string>

namespace troupe::cluster {

class sqlite_log : public change_log {
 public:
  /// Makes it if there is none.
  [[nodiscard]] static tl::expected<std::unique_ptr<sqlite_log>, refusal> open(
      const std::string& path);
  ~sqlite_log() override;

  [[nodiscard]] position head() const override;
  [[nodiscard]] std::uint64_t begins_after() const override;
  void append(const change& next, appended done) override;
  [[nodiscard]] tl::expected<void, refusal> append_all(const std::vector<change>& next) override;
  [[nodiscard]] tl::expected<std::vector<change>, refusal> read(
      std::uint64_t after_seq, std::size_t max_bytes) const override;
  [[nodiscard]] tl::expected<std::optional<std::string>, refusal> snapshot() const override;
  [[nodiscard]] tl::expected<void, refusal> keep_snapshot(const position& at,
                                                          std::string_view bytes) override;
  [[nodiscard]] tl::expected<void, refusal> replace(const position& at, std::string_view bytes,
                                                    const std::vector<change>& since,
                                                    const std::vector<change>& lost) override;
  [[nodiscard]] tl::expected<std::vector<change>, refusal> aside() const override;

  // What a controller knows that the history does not say, and that it would miss after a restart.

  /// How an order went, `bytes` as its maker likes them. The newest are kept.
  [[nodiscard]] tl::expected<void, refusal> keep_outcome(std::string_view bytes);
  /// The oldest first.
  [[nodiscard]] tl::expected<std::vector<std::string>, refusal> outcomes() const;
  /// The epoch in which this node led until another was promoted; 0: none.
  [[nodiscard]] tl::expected<void, refusal> keep_lost_epoch(std::uint64_t epoch);
  [[nodiscard]] tl::expected<std::uint64_t, refusal> lost_epoch() const;

 private:
  struct impl;
  explicit sqlite_log(std::unique_ptr<impl> data);
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::cluster
