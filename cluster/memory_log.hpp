// SPDX-License-Identifier: Apache-2.0
//
// A change log in memory: of nodes that are simulated, many in a process.
//
// Source   docs/cluster.md, "State".
// Thread   cluster. append() calls `done` at once.
// Called   by tests/cluster, tests/bench.
#pragma once

#include "cluster/change_log.hpp"

namespace troupe::cluster {

class memory_log : public change_log {
 public:
  [[nodiscard]] position head() const override { return head_; }
  [[nodiscard]] std::uint64_t begins_after() const override { return cut_; }
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

 private:
  std::vector<change> list_;  ///< Those after cut_.
  std::uint64_t cut_ = 0;
  position head_;
  std::optional<std::string> snapshot_;
  std::uint64_t snapshot_seq_ = 0;
  std::vector<change> aside_;
};

}  // namespace troupe::cluster
