// SPDX-License-Identifier: Apache-2.0
//
// A node of a cluster: it joins, and serves each app that is pushed to the cluster. What `troupe node`
// is made of, and what embedding programs have of a cluster in C++.
//
//   troupe::cluster_node_options options;
//   options.name = "b";
//   options.data = "/var/lib/my-service";
//   options.join = {"10.0.0.1:7000"};
//   auto node = troupe::cluster_node::start(std::move(options));
//   if (!node) { … node.error() … }
//   (*node)->subscribe("prices", [](std::string_view message, std::string_view from) { … });
//   …
//   (*node)->stop(troupe::stop_mode::graceful);
//   return (*node)->wait();
//
// Source   docs/cluster.md; docs/embedding.md, "A node of a cluster".
// Thread   any but a shard's; callbacks come on a thread of the node and may not wait long.
// Errors   `diagnostics`; a node that did not start owns nothing.
// Called   by runtime/commands/node and embedding programs.
#pragma once

#include "net/live_cluster.hpp"
#include "troupe/node.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class inheritance;
struct invocation;

struct cluster_node_options {
  std::string name;
  std::string data;    ///< The data folder, made if needed; one process at a time has it.
  std::string listen;  ///< host:port for other nodes, announcements on port + 1; empty: binds nothing.
  std::vector<std::string> join;  ///< host:port of controllers or relays.
  bool is_controller = false;
  bool is_relay = false;
  /// Where controllers keep the cluster's history: etcd://[user:password@]host:port[,…][/prefix], or
  /// etcds://… for TLS (docs/etcd.md); empty: the disk of the one that leads.
  std::string store;
  std::string key_folder;  ///< The operator's; empty or not there: none.
  std::string token;       ///< A join token.
  std::map<std::string, std::string, std::less<>> labels;
  std::string ready;       ///< host:port that answers health checks over HTTP; empty: none.

  // Of each app's node (troupe/options.hpp).
  std::optional<std::uint16_t> port;  ///< Of the first app; the second has the next one.
  unsigned shards = 0;
  std::optional<net::log_level> log_level;
  std::map<std::string, std::string, std::less<>> values;
  std::vector<const conf::directive_module*> modules;

  // Another binary takes over (docs/cluster.md, "Upgrades").
  /// How this process was started; null: nobody takes over from it. Outlives the node.
  const invocation* started_as = nullptr;
  /// What the process before gave to this one; null or not there: it begins alone.
  inheritance* predecessor = nullptr;

  /// Whenever an app has begun to serve, or serves another release.
  std::function<void(const std::string& app, const std::vector<listener_info>&)> listening;
};

class cluster_node {
 public:
  /// When it returns, the node is linked as its options say and serves, or begins to serve, the last
  /// state that its disk has, whether there is a controller or not. After another process it serves
  /// all that that one did.
  [[nodiscard]] static tl::expected<std::unique_ptr<cluster_node>, diagnostics> start(
      cluster_node_options options);
  ~cluster_node();
  cluster_node(const cluster_node&) = delete;
  cluster_node& operator=(const cluster_node&) = delete;

  /// As those of troupe::node.
  void stop(stop_mode mode);
  int wait();
  void reload();
  void reopen_logs();
  /// Starts the binary that lies where this one was started from, and leaves when it serves; else all
  /// stays as it is. Logged; returns when that is known.
  void upgrade();
  [[nodiscard]] const net::log_context& log() const;

  /// host:port as bound; empty: nothing is.
  [[nodiscard]] std::string address() const;

  // The cluster: as troupe.cluster of Lua.
  [[nodiscard]] std::vector<net::cluster_member> nodes() const;
  void on_change(std::function<void(const std::vector<net::cluster_member>&)> told);
  /// Best effort: who is not linked at the moment misses it.
  void publish(std::string topic, std::string message);
  void subscribe(std::string topic,
                 std::function<void(std::string_view message, std::string_view from)> told);
  /// Pushes a folder of this machine; signed with the key of the operator's folder, if there is one.
  /// @param done  JSON as of `troupe push --json`, or {"error":…,"reason":…}.
  void push(net::cluster_push what, std::function<void(std::string json)> done);

 private:
  struct impl;
  explicit cluster_node(std::unique_ptr<impl> made);
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
