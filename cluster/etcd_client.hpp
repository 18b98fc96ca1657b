// SPDX-License-Identifier: Apache-2.0
//
// etcd by its HTTP gateway: ranges, transactions with compares, leases. Several members are tried
// in turn until one answers; a question may therefore have been carried out although its answer was
// lost, which transactions find out by their compares.
//
// Source   etcd's pages "Why gRPC gateway" and "API reference" (v3.4: /v3/kv/…, /v3/lease/…,
//          /v3/auth/authenticate).
// Thread   the owner's, which waits; stop() from any.
// Errors   refusals: `io` no member answered in time, `missing` (etcd: NotFound), `too_large`,
//          `denied`; else `unsupported` with etcd's words. After `io` it may have happened.
// Called   by cluster/etcd_log, cluster/leadership.
#pragma once

#include "cluster/etcd_address.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

struct etcd_entry {
  std::string key;
  std::string value;
  std::int64_t create_revision = 0;
};

struct etcd_compare {
  std::string key;
  /// Its creation's revision; 0: there is no such key. Negative: `value` is compared instead.
  std::int64_t create_revision = -1;
  std::string value = {};
};

struct etcd_operation {
  enum class what : std::uint8_t { put, erase, range };
  what kind = what::put;
  std::string key;
  std::string value_or_end = {};  ///< put: the value; else the end of the range, empty: one key.
  std::int64_t lease = 0;         ///< put: 0: none.
};

struct etcd_outcome {
  bool succeeded = false;     ///< Whether the compares held.
  std::int64_t revision = 0;  ///< etcd's, after it.
  std::vector<std::vector<etcd_entry>> ranges;
};

class etcd_client {
 public:
  using instant = std::chrono::steady_clock::time_point;
  /// @param attempt  how long one member may take to answer.
  explicit etcd_client(etcd_address store,
                       std::chrono::milliseconds attempt = std::chrono::seconds(2));
  ~etcd_client();

  /// The keys from `key` up to `end` in order (empty: that one), at most `limit` of them (0: all).
  [[nodiscard]] tl::expected<std::vector<etcd_entry>, refusal> range(const std::string& key,
                                                                     const std::string& end,
                                                                     std::size_t limit,
                                                                     instant deadline);
  [[nodiscard]] tl::expected<etcd_outcome, refusal> transact(
      const std::vector<etcd_compare>& when, const std::vector<etcd_operation>& then,
      const std::vector<etcd_operation>& otherwise, instant deadline);

  struct lease {
    std::int64_t id = 0;
    std::chrono::seconds life{0};
  };
  [[nodiscard]] tl::expected<lease, refusal> grant(std::chrono::seconds life, instant deadline);
  /// @return the life it has again; zero: it has ended.
  [[nodiscard]] tl::expected<std::chrono::seconds, refusal> keep_alive(std::int64_t id,
                                                                       instant deadline);
  [[nodiscard]] tl::expected<void, refusal> revoke(std::int64_t id, instant deadline);

  /// What goes on ends at once, and all that comes later. From any thread.
  void stop();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::cluster
