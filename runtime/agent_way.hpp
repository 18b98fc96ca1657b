// SPDX-License-Identifier: Apache-2.0
//
// The way to the cluster by the node's own agent.
//
// Source   docs/admin-api.md, "A node of a cluster".
// Thread   any but a shard's and the cluster's.
// Errors   as cluster_way.
// Called   by runtime/cluster_node.
#pragma once

#include "cluster/agent.hpp"
#include "cluster/blob_store.hpp"
#include "runtime/cluster_way.hpp"

namespace troupe {

class agent_way final : public cluster_way {
 public:
  /// @param name  the node's.
  agent_way(cluster::agent& agent, cluster::blob_store& blobs, std::string name)
      : agent_(agent), blobs_(blobs), name_(std::move(name)) {}

  [[nodiscard]] tl::expected<std::vector<cluster::digest>, cluster::refusal> missing(
      std::vector<cluster::digest> names, std::chrono::milliseconds wait) override;
  [[nodiscard]] tl::expected<void, cluster::refusal> put(const cluster::digest& name,
                                                         std::string content,
                                                         std::chrono::milliseconds wait) override;
  void submit(const cluster::signed_order& what, const on_progress& on,
              std::chrono::milliseconds wait) override;
  [[nodiscard]] tl::expected<std::shared_ptr<const cluster::cluster_state>, cluster::refusal> state()
      override;
  [[nodiscard]] tl::expected<cluster::query_answer, cluster::refusal> query(
      const std::string& what, std::chrono::milliseconds wait) override;
  [[nodiscard]] tl::expected<std::string, cluster::refusal> content(
      const cluster::digest& name) override;

 private:
  cluster::agent& agent_;
  cluster::blob_store& blobs_;
  std::string name_;
};

}  // namespace troupe
