// SPDX-License-Identifier: Apache-2.0
//
// What the cluster asks of the node that it is a part of: to load releases beside, to swap, to take
// values. runtime/cluster_host is the real one.
//
// Source   docs/cluster.md, "A push".
// Thread   all are called on the cluster's thread and return at once; the answer comes by `done`, from
//          any thread, once. What is asked for one app is done in the order in which it was asked for.
// Called   by cluster/follower.
#pragma once

#include "cluster/manifest.hpp"
#include "cluster/messages.hpp"

#include <functional>
#include <map>
#include <string>

namespace troupe::cluster {

class host {
 public:
  virtual ~host() = default;

  struct result {
    std::string refused;  ///< Why; empty: done.
    double took_ms = 0;
  };
  using done = std::function<void(result)>;

  /// Checks the release and loads it beside the one that serves. All contents are in the blob store and
  /// verified. A second call for the app replaces what is prepared.
  virtual void prepare(const std::string& app, std::uint32_t release, const manifest& files,
                       done then) = 0;
  /// Swaps in what is prepared, or prepares it first (after a restart, a catch-up, a rollback).
  virtual void activate(const std::string& app, std::uint32_t release, const manifest& files,
                        done then) = 0;
  /// Drops what is prepared.
  virtual void forget(const std::string& app, std::uint32_t release) = 0;
  /// All values that this node sees, whenever one has changed.
  virtual void config(const std::map<std::string, std::string, std::less<>>& values,
                      std::uint64_t version) = 0;
  virtual void topic(const topic_message& what) = 0;
  /// What the node says of itself: serves, requests and errors a second.
  [[nodiscard]] virtual node_report report() const = 0;
};

}  // namespace troupe::cluster
