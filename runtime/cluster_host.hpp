// SPDX-License-Identifier: Apache-2.0
//
// What the cluster tells a node to do, done: an app_runner for each app, config values and the list of
// nodes before the eyes of all their scripts, messages of topics. The contents are those of the data
// folder's one store; numbers and history of releases are the cluster's.
//
// Source   docs/cluster.md, "A push".
// Thread   made and ended by main; cluster::host's functions come on the cluster's thread and return at
//          once, the rest is for any.
// Called   by cluster/follower, runtime/cluster_api, runtime/cluster_node.
#pragma once

#include "cluster/host.hpp"
#include "net/live_cluster.hpp"
#include "runtime/app_runner.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe {

class cluster_host final : public cluster::host {
 public:
  struct parts {
    release_store& store;
    audit_log& audit;
    const net::log_context& log;
    /// Of every app's node; its port is the first app's, the next ones have the next.
    node_options options;
    std::string data_folder;
    std::function<void(const std::string& app, const std::vector<listener_info>&)> listening;
    std::shared_ptr<net::live_cluster> scripts;
    std::vector<listening_socket> inherited = {};  ///< As hand_over() of the process before named them.
  };
  explicit cluster_host(parts of);
  ~cluster_host() override;

  void prepare(const std::string& app, std::uint32_t release, const cluster::manifest& files,
               done then) override;
  void activate(const std::string& app, std::uint32_t release, const cluster::manifest& files,
                done then) override;
  void forget(const std::string& app, std::uint32_t release) override;
  void config(const std::map<std::string, std::string, std::less<>>& values,
              std::uint64_t version) override;
  void topic(const cluster::topic_message& what) override;
  /// As the controller answered: for troupe.cluster.nodes() and on_change().
  void nodes(const std::vector<cluster::node_report>& all);
  [[nodiscard]] cluster::node_report report() const override;

  /// By name.
  [[nodiscard]] std::vector<app_runner::view> apps() const;
  /// Manifests whose trees are in use.
  [[nodiscard]] std::vector<cluster::digest> in_use() const;
  /// What this node's scripts see: the cluster's values, and over them those of `--set`.
  [[nodiscard]] const net::live_config& config() const noexcept { return config_; }
  /// What `--set` gives this node alone.
  [[nodiscard]] std::optional<std::string> own_value(const std::string& key) const;
  /// Waits until the version is another than `seen`, at most for so long.
  void wait_config(std::uint64_t seen, std::chrono::milliseconds limit) const;

  void reload();
  void reopen_logs();
  /// Copies of what the apps listen on, for another process, to be closed by the caller; an app's
  /// name and a space stand before the address.
  [[nodiscard]] std::vector<listening_socket> hand_over();
  [[nodiscard]] static std::string app_of(const listening_socket& handed_over);
  void stop(stop_mode mode);
  /// Waits until stop() was called and all apps have ended. @return 0
  int wait();

 private:
  [[nodiscard]] app_runner& runner(const std::string& app);
  [[nodiscard]] std::vector<app_runner*> runners() const;
  [[nodiscard]] unsigned place_of(const std::string& app) const;
  [[nodiscard]] net::config_map with_own(net::config_map values) const;

  parts parts_;
  mutable std::mutex mutex_;  ///< Guards what follows.
  mutable std::condition_variable changed_;
  std::map<std::string, std::unique_ptr<app_runner>, std::less<>> runners_;
  net::config_map shared_;  ///< The cluster's values.
  bool has_stopped_ = false;
  stop_mode how_ = stop_mode::fast;

  net::live_config config_;

  struct sample {
    std::chrono::steady_clock::time_point when;
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
  };
  mutable std::mutex sampling_;
  mutable sample before_;
  mutable double requests_per_second_ = 0;
  mutable double errors_per_second_ = 0;
};

}  // namespace troupe
