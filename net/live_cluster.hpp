// SPDX-License-Identifier: Apache-2.0
//
// The cluster as scripts see it: who is in it, what was said on topics, and the ways out: saying
// something, subscribing, pushing. In Lua troupe.cluster.
//
// As with net/live_config, readers ask for the version, one atomic load, and take the rest only when it
// has moved.
//
// Source   docs/lua-api.md, "The cluster".
// Thread   any.
// Memory   messages of topics: the newest 1024, at most 4 MiB of them; who is slower misses some and is
//          told how many. A snapshot lives as long as somebody holds it.
// Called   by lua/api/cluster; filled by runtime/cluster_host.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::net {

struct cluster_member {
  std::string name;
  std::string role;     ///< "node", "controller", "relay".
  std::string version;  ///< Of troupe.
  std::string address;  ///< host:port where it binds; empty: nowhere.
  std::string serves;   ///< Its first listener's URL; may be empty.
  std::map<std::string, std::string, std::less<>> labels;
  std::map<std::string, std::uint32_t, std::less<>> releases;  ///< Active ones by app.
  bool live = false;
  std::string problem;  ///< Why it is behind; may be empty.
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  double requests_per_second = 0;
  double errors_per_second = 0;

  /// But for what moves all the time: position and rates.
  [[nodiscard]] bool is_like(const cluster_member& other) const;
};

struct cluster_message {
  std::uint64_t number = 0;
  std::string topic;
  std::string from;
  std::string payload;
};

/// What a script wants pushed.
struct cluster_push {
  std::string path;
  std::string app;
  std::string message;
  std::string to;       ///< A selector's text.
  double require_percent = 100;
  double canary_percent = 0;
  double watch_seconds = 0;
  std::string stop_if;
  std::int64_t expect = -1;  ///< -1: whatever.
};

class live_cluster {
 public:
  static constexpr std::size_t most_messages = 1024;
  static constexpr std::size_t most_message_bytes = std::size_t{4} << 20;

  /// The ways out; they return at once.
  struct outward {
    std::function<void(std::string topic, std::string payload)> publish;
    std::function<void(std::string topic)> subscribe;
    std::function<void(std::string topic)> unsubscribe;
    /// Calls `done` once with JSON: the outcome, or {"error":…,"reason":…}.
    std::function<void(cluster_push, std::function<void(std::string)> done)> push;
  };

  explicit live_cluster(std::string self) : self_(std::move(self)) {}

  [[nodiscard]] const std::string& self() const noexcept { return self_; }

  /// Set before anybody asks, and taken away before what it leads to goes.
  void lead_to(outward ways);

  /// Moves when members change (is_like()) and with each message.
  [[nodiscard]] std::uint64_t version() const noexcept {
    return version_.load(std::memory_order_acquire);
  }

  struct members {
    std::uint64_t version = 0;  ///< Moves when they are no longer alike.
    std::vector<cluster_member> list;
  };
  [[nodiscard]] std::shared_ptr<const members> now() const;
  /// Somebody has looked at the members: from then on the list is kept.
  void watch() noexcept { is_watched_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool is_watched() const noexcept {
    return is_watched_.load(std::memory_order_relaxed);
  }
  /// @return whether version() has moved.
  bool replace(std::vector<cluster_member> list);

  void add(std::string topic, std::string from, std::string payload);
  struct heard {
    std::vector<std::shared_ptr<const cluster_message>> messages;
    std::uint64_t last = 0;  ///< The number to ask from the next time.
    std::uint64_t missed = 0;  ///< Of any topic: they were gone already.
  };
  [[nodiscard]] heard since(std::uint64_t number, std::string_view topic) const;
  [[nodiscard]] std::uint64_t last_message() const;

  void publish(std::string topic, std::string payload) const;
  void subscribe(const std::string& topic);
  void unsubscribe(const std::string& topic);

  /// @return a number for outcome().
  std::uint64_t push(cluster_push what);
  /// Once it is there: its JSON, and it is forgotten. Else empty.
  [[nodiscard]] std::string outcome(std::uint64_t of);

 private:
  std::string self_;
  std::atomic<std::uint64_t> version_{0};
  std::atomic<bool> is_watched_{false};
  mutable std::mutex mutex_;
  std::shared_ptr<const members> members_ = std::make_shared<const members>();
  std::deque<std::shared_ptr<const cluster_message>> messages_;
  std::size_t message_bytes_ = 0;
  std::uint64_t last_message_ = 0;
  std::map<std::string, std::size_t, std::less<>> subscribers_;
  std::shared_ptr<const outward> ways_ = std::make_shared<const outward>();
  /// Pushes end later than who began them may live.
  struct outcomes {
    std::mutex mutex;
    std::map<std::uint64_t, std::string> by_number;
    std::uint64_t last = 0;
  };
  std::shared_ptr<outcomes> outcomes_ = std::make_shared<outcomes>();
};

}  // namespace troupe::net
