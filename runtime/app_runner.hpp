// SPDX-License-Identifier: Apache-2.0
//
// One app of a cluster's node: its troupe::node, what is prepared for it, and the thread that loads.
// Each app has its own, so that one that is slow to load, or does not start, holds up no other.
//
// The first release of an app starts the node in two steps (node::prepare_start): when prepare() says
// that it is ready, its sockets are bound, its VMs are built and its init_worker has run, so that
// nothing is left that could fail; but nobody is served before activate(). Who connects in between waits
// in the listener's queue.
//
// Source   docs/cluster.md, "A push".
// Thread   its functions: any; answers come on its own thread, `app-NAME`.
// Errors   cluster::host::result says why it was refused; what serves serves on.
// Called   by runtime/cluster_host.
#pragma once

#include "cluster/host.hpp"
#include "runtime/audit_log.hpp"
#include "runtime/release_store.hpp"
#include "troupe/node.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace troupe {

class app_runner {
 public:
  struct parts {
    std::string app;
    release_store& store;
    audit_log& audit;
    const net::log_context& log;
    node_options options;         ///< But for the release.
    std::string writable_prefix;  ///< Of all its releases (troupe/release.hpp).
    /// After each activation, on the app's thread.
    std::function<void(const std::string& app, const std::vector<listener_info>&)> listening;
  };
  explicit app_runner(parts of);
  /// stop() and wait() come before.
  ~app_runner();
  app_runner(const app_runner&) = delete;
  app_runner& operator=(const app_runner&) = delete;

  void prepare(std::uint32_t release, const cluster::manifest& files, cluster::host::done then);
  void activate(std::uint32_t release, const cluster::manifest& files, cluster::host::done then);
  void forget(std::uint32_t release);
  /// Loads what serves anew, as HUP does.
  void reload();

  void config(std::uint64_t version, net::config_map values);
  void tell_cluster_changed();
  void reopen_logs();
  /// Copies of what it listens on, for another process, to be closed by the caller. What is prepared
  /// goes first: the sockets that it has bound are the other one's to bind.
  [[nodiscard]] std::vector<listening_socket> hand_over();

  struct view {
    std::string app;
    std::uint32_t release = 0;  ///< What serves; 0: nothing yet.
    cluster::digest digest;
    std::vector<listener_info> listeners;
    std::vector<live_release> live;
    node_load load;
    std::string problem;  ///< Why the last prepare() or activate() was refused; empty.
  };
  [[nodiscard]] view now() const;
  /// Of what lives or is prepared: their trees are in use.
  [[nodiscard]] std::vector<cluster::digest> in_use() const;

  void stop(stop_mode mode);
  /// For the end of all; once.
  void wait();

 private:
  using job = std::function<void()>;
  void post(job what);
  void run();
  void finish(const std::string& what, std::uint32_t release, const cluster::host::result& result,
              const cluster::host::done& then);

  [[nodiscard]] cluster::host::result prepare_now(std::uint32_t release,
                                                  const cluster::manifest& files);
  [[nodiscard]] cluster::host::result activate_now(std::uint32_t release,
                                                   const cluster::manifest& files);
  [[nodiscard]] tl::expected<release_source, diagnostics> source_of(
      std::uint32_t release, const cluster::digest& digest, const cluster::manifest& files);
  [[nodiscard]] std::shared_ptr<node> running() const;
  void drop_prepared();
  void end_node();

  parts parts_;

  // Thread: the app's own.
  std::optional<prepared_release> prepared_;
  std::uint32_t prepared_number_ = 0;
  cluster::manifest serving_files_;

  mutable std::mutex mutex_;  ///< Guards what follows.
  std::condition_variable changed_;
  std::deque<job> jobs_;
  std::shared_ptr<node> node_;  ///< None: nothing was ever prepared.
  std::optional<cluster::digest> prepared_digest_;
  std::uint32_t active_ = 0;
  cluster::digest active_digest_;
  std::string problem_;
  std::uint64_t config_version_ = 0;
  net::config_map config_;
  std::optional<stop_mode> stopping_;

  std::thread thread_;
};

}  // namespace troupe
