// SPDX-License-Identifier: Apache-2.0
//
// Who of several controllers leads, as etcd says: a key under a lease. Who makes the key gets the
// next epoch in the same transaction. A lease is no fence: who was paused does not know that it has
// ended, so each write compares the key too (leader_fence), and valid_until() is for stopping
// early.
//
// The key is looked at every so often; no watch is needed for what the lease decides anyway.
//
// Source   docs/cluster.md, "Controllers".
// Thread   its own asks etcd; all functions from any, `wake` is called on its own.
// Errors   none: without etcd nobody leads after the lease; problem() says why.
// Called   by cluster/etcd_seat.
#pragma once

#include "cluster/etcd_client.hpp"
#include "cluster/etcd_keys.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace troupe::cluster {

/// The value of the leader's key.
struct leader_record {
  std::string name;
  std::string address;
  std::uint64_t epoch = 0;
  std::string nonce;  ///< No two leaderships have the same value.
  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static std::optional<leader_record> decode(std::string_view text);
};

class leadership {
 public:
  using instant = std::chrono::steady_clock::time_point;
  struct options {
    etcd_address store;
    std::string name;
    std::string address;
    std::chrono::seconds life{10};              ///< Of the lease; etcd may give more.
    std::chrono::milliseconds look_every{500};  ///< While another leads.
    std::function<void()> wake;                 ///< Something has changed.
  };
  explicit leadership(options how);
  /// Ends the lease, if etcd answers at once.
  ~leadership();

  /// From now on it takes the lead when nobody has it, with an epoch above `floor`, which is what
  /// this node has seen: etcd restored from a backup gives old ones again.
  /// @param may_begin  if not, it leaves alone an etcd that has no history
  void campaign(std::uint64_t floor, bool may_begin);
  /// Gives up what it has; not before campaign() does it try again.
  void resign();

  struct hold {
    leader_fence fence;
    std::uint64_t epoch = 0;
    bool operator==(const hold&) const = default;
  };
  /// Set while this node leads; not beyond valid_until().
  [[nodiscard]] std::optional<hold> held() const;
  /// Before etcd can have ended the lease.
  [[nodiscard]] instant valid_until() const;
  [[nodiscard]] std::optional<leader_record> leader() const;
  /// It would lead if it might begin a history.
  [[nodiscard]] bool lacks_history() const;
  [[nodiscard]] std::string problem() const;   ///< Empty: etcd answers.
  [[nodiscard]] std::string why_lost() const;  ///< The last time.

 private:
  struct attempt {
    std::string problem;
    bool lacks_history = false;
    leader_record own;
    instant sent{};  ///< Before the lease was asked for.
    etcd_client::lease lease;
    std::optional<hold> taken;
    [[nodiscard]] attempt failed(const refusal& why) {
      problem = why.reason;
      return std::move(*this);
    }
  };
  [[nodiscard]] attempt ask_for_it(std::uint64_t floor, bool may_begin);
  void run();
  void look(std::unique_lock<std::mutex>& lock);
  void renew(std::unique_lock<std::mutex>& lock);
  void take(std::unique_lock<std::mutex>& lock);
  void give_up(std::unique_lock<std::mutex>& lock);
  void lose(std::string why);
  void changed() const {
    if (how_.wake) how_.wake();
  }

  options how_;
  etcd_keys keys_;
  etcd_client etcd_;
  mutable std::mutex mutex_;
  std::condition_variable wanted_;
  bool stopping_ = false;
  bool wants_ = false;
  bool may_begin_ = false;
  bool lacks_history_ = false;
  std::uint64_t floor_ = 0;
  std::int64_t lease_ = 0;
  std::chrono::milliseconds life_{0};
  instant sent_{};  ///< When the last renewal that was answered was asked for.
  std::optional<hold> held_;
  std::optional<leader_record> leader_;
  std::string problem_;
  std::string why_lost_;
  std::thread thread_;
};

}  // namespace troupe::cluster
