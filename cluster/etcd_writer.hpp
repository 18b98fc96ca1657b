// SPDX-License-Identifier: Apache-2.0
//
// The log in etcd as its leader's thread reads and writes it; each call waits for etcd.
//
// Source   docs/cluster.md, "Controllers"; cluster/etcd_keys.
// Thread   one, which waits; stop() from any.
// Errors   refusals. After `not_leader` of an append it may be in the log or not.
// Called   by cluster/etcd_log.
#pragma once

#include "cluster/change.hpp"
#include "cluster/etcd_client.hpp"
#include "cluster/etcd_keys.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cluster {

class etcd_writer {
 public:
  using instant = std::chrono::steady_clock::time_point;
  etcd_writer(const etcd_address& store, leader_fence fence, std::function<instant()> valid_until);

  struct content {
    position head;
    std::uint64_t cut = 0;  ///< The log begins after it.
    position snapshot_at;
    std::optional<std::string> snapshot;
    std::vector<change> changes;
  };
  [[nodiscard]] tl::expected<content, refusal> load();
  /// @param before  where the log has to stand.
  [[nodiscard]] tl::expected<void, refusal> append(const position& before, const change& next);
  [[nodiscard]] tl::expected<void, refusal> keep_snapshot(const position& at, std::uint64_t cut,
                                                          const std::string& bytes);
  /// Where there is no log: a snapshot (empty bytes: none) and the changes since. It is there when
  /// all of it is; what an attempt that was cut short has left goes.
  [[nodiscard]] tl::expected<void, refusal> begin(const position& at, const std::string& bytes,
                                                  const std::vector<change>& since);
  void stop() { etcd_.stop(); }

 private:
  using compares = std::vector<etcd_compare>;
  using operations = std::vector<etcd_operation>;
  [[nodiscard]] compares fenced() const;
  [[nodiscard]] tl::expected<std::optional<std::string>, refusal> value(const std::string& key);
  [[nodiscard]] tl::expected<std::vector<change>, refusal> changes_after(std::uint64_t cut);
  [[nodiscard]] tl::expected<void, refusal> load_snapshot(content& to, const std::string& placed);
  [[nodiscard]] tl::expected<std::uint64_t, refusal> put_pieces(std::uint64_t seq,
                                                                const std::string& bytes);
  [[nodiscard]] etcd_operation place_snapshot(const position& at, std::uint64_t cut,
                                              std::uint64_t pieces, const std::string& bytes) const;
  /// Where the head has to become `after`.
  [[nodiscard]] tl::expected<void, refusal> commit(const compares& when, const operations& then,
                                                   const std::string& after);

  etcd_client etcd_;
  etcd_keys keys_;
  leader_fence fence_;
  std::function<instant()> valid_until_;
};

}  // namespace troupe::cluster
