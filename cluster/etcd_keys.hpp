// SPDX-License-Identifier: Apache-2.0
//
// What lies where in etcd, below the cluster's prefix:
//
// - leader: who leads (leader_record), under the leader's lease
// - epoch: the last epoch that was given, in decimal; taking the leadership raises it
// - head: where the log stands, `EPOCH SEQ DIGEST`; without it there is no log, whatever else lies
//   there
// - log/SEQ: a change, as change::encode()
// - snapshot: `EPOCH SEQ DIGEST CUT PIECES SHA256`, the last; the log begins after CUT
// - pieces/SEQ/NUMBER: its bytes
//
// Numbers in names have 16 hexadecimal digits, so that they lie in order.
//
// Source   docs/cluster.md, "Controllers".
// Thread   any.
// Called   by cluster/etcd_log, cluster/leadership.
#pragma once

#include "cluster/position.hpp"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::cluster {

struct etcd_keys {
  std::string prefix;

  [[nodiscard]] std::string leader() const { return prefix + "/leader"; }
  [[nodiscard]] std::string epoch() const { return prefix + "/epoch"; }
  [[nodiscard]] std::string head() const { return prefix + "/head"; }
  [[nodiscard]] std::string snapshot() const { return prefix + "/snapshot"; }
  [[nodiscard]] std::string change(std::uint64_t seq) const { return prefix + "/log/" + hex(seq); }
  /// Behind the last change: '0' follows '/'.
  [[nodiscard]] std::string log_end() const { return prefix + "/log0"; }
  [[nodiscard]] std::string piece(std::uint64_t seq, std::uint64_t number) const {
    return pieces(seq) + hex(number);
  }
  [[nodiscard]] std::string pieces(std::uint64_t seq) const {
    return prefix + "/pieces/" + hex(seq) + '/';
  }
  [[nodiscard]] std::string pieces_end(std::uint64_t seq) const {
    return prefix + "/pieces/" + hex(seq) + '0';
  }
  [[nodiscard]] std::string first_piece() const { return prefix + "/pieces/"; }
  [[nodiscard]] std::string all_pieces_end() const { return prefix + "/pieces0"; }

 private:
  [[nodiscard]] static std::string hex(std::uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
    return text;
  }
};

/// What every write of a leader compares: that the leader's key is the one that it made. The
/// revision alone would do until etcd is restored from a backup, when revisions are given again.
struct leader_fence {
  std::int64_t create_revision = 0;
  std::string value;
  bool operator==(const leader_fence&) const = default;
};

[[nodiscard]] std::string position_text(const position& at);
[[nodiscard]] std::optional<position> position_from(std::string_view text);

}  // namespace troupe::cluster
