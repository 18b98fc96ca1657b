// SPDX-License-Identifier: Apache-2.0
//
// Connections that wait for their next use, by key, and the connects that wait for a free place.
//
// Source   "tcpsock:connect" (pool, pool_size, backlog) and "tcpsock:setkeepalive" of ngx_lua.
// Thread   shard: one set of pools each, so that no lock is taken; they outlive releases.
// Memory   a pool goes with its last connection.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/client_stream.hpp"
#include "net/timer_wheel.hpp"

namespace troupe::net {

class stream_pools;

class stream_pool {
public:
  /// Somebody who waits for a connection, or for the right to make one.
  class waiter {
  public:
    /// @param taken  a connection of the pool; null: a place is free to make one.
    virtual void on_turn(std::unique_ptr<client_stream> taken, std::uint32_t reused) noexcept = 0;

  protected:
    ~waiter() = default;
  };

  stream_pool(stream_pools& all, std::string key, std::size_t size, int backlog)
      : all_(all), key_(std::move(key)), size_(size), backlog_(backlog) {}

  [[nodiscard]] const std::string& key() const noexcept { return key_; }

  struct idle_connection {
    std::unique_ptr<client_stream> connection;
    std::uint32_t reused = 0;
  };
  /// The connection used last, or null.
  idle_connection take() noexcept;
  /// The one used last among those that were shaken hands with as `wanted`, or null.
  idle_connection take_of(const tls_identity& wanted) noexcept;
  /// Whether connects may have to wait for a place.
  [[nodiscard]] bool has_backlog() const noexcept { return backlog_ >= 0; }
  /// Gives a connection back that was counted. The oldest goes if there are too many.
  /// @param idle_ms  0: without limit.
  void give(std::unique_ptr<client_stream> connection, std::uint32_t reused, std::int64_t idle_ms);

  // --- Places, with a backlog ------------------------------------------------------------------------
  enum class admission { go, wait, refuse };
  /// Counts a connection that was made before the pool was.
  void adopt() noexcept { ++in_use_; }
  /// Asks for the right to make a connection.
  admission enter(waiter& asking);
  void forget(waiter& asking) noexcept;
  /// A connection of this pool has ended, or was never made.
  void leave() noexcept;

private:
  friend class stream_pools;
  struct resting final : stream::observer, timer {
    stream_pool* pool = nullptr;
    std::unique_ptr<client_stream> connection;
    std::uint32_t reused = 0;
    std::list<std::unique_ptr<resting>>::iterator at;
    void on_ready() noexcept override;
    void on_timer() noexcept override;
  };
  std::unique_ptr<resting> remove(std::list<std::unique_ptr<resting>>::iterator at) noexcept;
  void drop(resting& which) noexcept;
  void next_turn() noexcept;
  void end_if_unused() noexcept;

  stream_pools& all_;
  std::string key_;
  std::size_t size_;
  int backlog_;  ///< -1: none.
  std::size_t in_use_ = 0;
  int turns_ = 0;  ///< Under way.
  std::list<std::unique_ptr<resting>> idle_;  ///< The one used last is first.
  std::deque<waiter*> waiting_;
};

class stream_pools {
public:
  explicit stream_pools(event_loop& loop) : loop_(loop) {}

  [[nodiscard]] stream_pool* find(std::string_view key) noexcept;
  /// @param size, backlog  count if the pool is new.
  stream_pool& get(std::string_view key, std::size_t size, int backlog);
private:
  friend class stream_pool;
  event_loop& loop_;
  std::unordered_map<std::string, std::unique_ptr<stream_pool>> pools_;
};

}  // namespace troupe::net
