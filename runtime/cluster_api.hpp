// SPDX-License-Identifier: Apache-2.0
//
// What the control socket of a cluster's node understands, and what the command line asks itself when it
// talks to a node over a link: the same paths, but the answers are the cluster's. Changes are signed
// orders that the client has made; see docs/admin-api.md.
//
// Source   docs/admin-api.md, "A node of a cluster".
// Thread   any; called by the threads of the admin_server.
// Errors   {"error":NAME,"reason":TEXT,…} with a status of HTTP.
// Called   by runtime/cluster_node, runtime/commands/node_call.
#pragma once

#include "cluster/agent.hpp"
#include "runtime/admin_message.hpp"
#include "runtime/cluster_host.hpp"
#include "runtime/cluster_way.hpp"
#include "runtime/upgrade.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>

namespace troupe {

class cluster_api {
 public:
  struct parts {
    cluster_way& way;
    std::string name;  ///< Of the node; empty: none, it is the command line's.
    const cluster_host* host = nullptr;
    audit_log* audit = nullptr;
    const net::log_context* log = nullptr;
    std::function<cluster::agent::standing()> stands = {};
    cluster::label_map labels = {};
    std::string address = {};  ///< Where it binds.
    upgrade* upgrading = nullptr;
    /// How often who watches looks.
    std::chrono::milliseconds watch_every{100};
  };
  explicit cluster_api(parts of) : parts_(std::move(of)) {}

  [[nodiscard]] admin_response answer(const admin_request& asked) const;
  /// 200 when current, else 503 and how far behind, since when and why.
  [[nodiscard]] admin_response ready() const;

 private:
  using state_ptr = std::shared_ptr<const cluster::cluster_state>;
  [[nodiscard]] admin_response overview() const;
  [[nodiscard]] admin_response status() const;
  [[nodiscard]] admin_response nodes(const admin_request& asked) const;
  [[nodiscard]] admin_response cluster_status(const admin_request& asked) const;
  [[nodiscard]] admin_response list_releases(const admin_request& asked) const;
  [[nodiscard]] admin_response show_release(const admin_request& asked, std::string_view rest) const;
  [[nodiscard]] admin_response diff(const admin_request& asked) const;
  [[nodiscard]] admin_response list_config(const admin_request& asked) const;
  [[nodiscard]] admin_response watch_config(const admin_request& asked) const;
  [[nodiscard]] admin_response config(const std::string& key) const;
  [[nodiscard]] admin_response keys() const;
  [[nodiscard]] admin_response missing(const admin_request& asked) const;
  [[nodiscard]] admin_response put(const admin_request& asked, std::string_view name) const;
  /// Held by what changes something, to its end.
  using change_lock = std::shared_ptr<std::shared_lock<std::shared_mutex>>;
  [[nodiscard]] admin_response submit(const admin_request& asked, change_lock change) const;
  [[nodiscard]] admin_response outcome(const admin_request& asked, std::string_view id) const;
  [[nodiscard]] tl::expected<cluster::manifest, cluster::refusal> manifest_of(
      const cluster::release_info& release) const;

  parts parts_;
};

}  // namespace troupe
