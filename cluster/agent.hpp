// SPDX-License-Identifier: Apache-2.0
//
// A node's part in the cluster: the thread that ZeroMQ's sockets live on, with the node's follower,
// and its controller or relay if it is one.
//
// Source   docs/cluster.md, "Links".
// Thread   made and destroyed by main; its functions may be called from any thread, their callbacks
//          come on the cluster's thread and may not wait.
// Errors   start(): a refusal (address in use, no keys off loopback, damaged log …).
// Called   by runtime/commands/node, tests/cluster.
#pragma once

#include "cluster/controller.hpp"
#include "cluster/follower.hpp"

namespace troupe::cluster {

class agent {
 public:
  struct options {
    std::string name;
    std::string data_folder;  ///< cluster.db, keys/node.key, keys/signing.key.
    std::string key_folder;   ///< The operator's (cluster/key_folder); empty or not there: no keys.
    std::string token;        ///< A join token's text; empty: none.
    std::string listen;       ///< host:port; announcements on port + 1. Empty: binds nothing.
    std::vector<std::string> join;  ///< host:port of controllers or relays, any of which will do.
    bool is_controller = false;
    bool is_relay = false;
    std::string store;        ///< etcd://… (cluster/etcd_address); empty: SQLite.
    label_map labels;
    std::string version;      ///< Of troupe.
    log_function log;
  };
  [[nodiscard]] static tl::expected<std::unique_ptr<agent>, refusal> start(options how,
                                                                           blob_source& blobs,
                                                                           host& runtime);
  virtual ~agent() = default;

  /// Leaves the cluster for a while, so that another process of this node can have its ports and its
  /// history: what is open is answered with that there was no answer, and so is what is asked from
  /// now on. What state() and stands() say stays as it was. Not on the cluster's thread.
  virtual void pause() = 0;
  /// Takes part again, from what the disk has.
  [[nodiscard]] virtual tl::expected<void, refusal> resume() = 0;

  /// To the controller, wherever it is.
  virtual void submit(signed_order what, std::function<void(const progress&)> on_progress) = 0;
  /// Which of these the controller lacks.
  virtual void missing(std::vector<digest> names,
                       std::function<void(tl::expected<std::vector<digest>, refusal>)> then) = 0;
  virtual void put(digest name, std::string content,
                   std::function<void(tl::expected<void, refusal>)> then) = 0;
  /// A query that this node answers itself: what it acknowledged as a controller and is not part of
  /// the history that it has now, in the form of `cluster status`.
  static constexpr std::string_view own_aside_query = "aside";
  /// To the controller, but for own_aside_query.
  virtual void query(std::string what,
                     std::function<void(tl::expected<query_answer, refusal>)> then) = 0;
  virtual void publish(std::string topic, std::string payload) = 0;
  virtual void subscribe(std::string topic) = 0;
  virtual void unsubscribe(std::string topic) = 0;

  /// A copy of what the follower knows, as of its last change.
  [[nodiscard]] virtual std::shared_ptr<const cluster_state> state() const = 0;
  /// How far behind it may be; for the readiness endpoint.
  struct standing {
    bool current = false;
    position at;
    std::string controller;
    std::optional<std::chrono::milliseconds> silent;  ///< Since the last genuine beacon.
    std::string problem;
  };
  [[nodiscard]] virtual standing stands() const = 0;
  [[nodiscard]] virtual std::string address() const = 0;  ///< As bound.
};

}  // namespace troupe::cluster
