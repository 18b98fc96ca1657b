// SPDX-License-Identifier: Apache-2.0
//
// The processes of the measured cluster: the controller, relays, many simulated nodes in one, a
// hostile client; and who orders, with the key of the operator's tools. All of them are children of
// the measuring process and end with it.
//
// Called   by tests/bench/push_nodes.
#pragma once

#include "tests/bench/push_nodes/world.hpp"

#include "cluster/upper_socket.hpp"

#include <functional>

#include <sys/types.h>

namespace troupe::bench {

class child {
 public:
  explicit child(const std::function<void()>& does);
  child(child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  child& operator=(child&&) = delete;
  ~child();
  [[nodiscard]] double cpu_seconds() const;
  [[nodiscard]] double resident_bytes() const;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  void freeze() const;
  void thaw() const;

 private:
  pid_t pid_ = 0;
};

// What the children do; none returns.
void run_controller(const world& of, shared_memory& seen);
void run_relay(const world& of, shared_memory& seen, std::size_t which);
/// Nodes from..to, below the relays in turns, or the controller when there are none. They share one
/// log, which ends at the world's last mark().
void run_nodes(const world& of, shared_memory& seen, std::size_t from, std::size_t to);
void run_hostile(const world& of, shared_memory& seen, int sockets);

class orderer {
 public:
  orderer(const world& of, const shared_memory& seen);
  /// Waits for the last word.
  progress order(const signed_order& what);
  /// Does not wait.
  void send(const signed_order& what);
  /// Sends what the controller lacks.
  void upload(const std::vector<std::string>& contents);
  void wait_until(const std::function<bool()>& is_so);

 private:
  message ask(message what);
  std::unique_ptr<zmq_context> context_;
  std::unique_ptr<upper_socket> link_;
  std::uint64_t asks_ = agent_asks;
  std::vector<message> came_;
};

}  // namespace troupe::bench
