// SPDX-License-Identifier: Apache-2.0
//
// A way to a cluster, for who may wait: by the agent of a node (agent_way), or straight over a link
// from the command line (runtime/commands).
//
// Source   docs/admin-api.md, "A node of a cluster".
// Thread   any but a shard's and the cluster's; calls wait for the answer.
// Errors   refusals; `io` if there was no answer in time.
// Called   by runtime/cluster_api.
#pragma once

#include "cluster/cluster_state.hpp"
#include "cluster/messages.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

class cluster_way {
 public:
  virtual ~cluster_way() = default;

  /// Which of these the controller lacks.
  [[nodiscard]] virtual tl::expected<std::vector<cluster::digest>, cluster::refusal> missing(
      std::vector<cluster::digest> names) = 0;
  [[nodiscard]] virtual tl::expected<void, cluster::refusal> put(const cluster::digest& name,
                                                                 std::string content) = 0;
  /// Gets each progress as it comes, and null when a second has passed without one; false: it need not
  /// go on. Returns after the last one.
  using on_progress = std::function<bool(const cluster::progress*)>;
  virtual void submit(const cluster::signed_order& what, const on_progress& on) = 0;

  [[nodiscard]] virtual tl::expected<std::shared_ptr<const cluster::cluster_state>, cluster::refusal>
  state() = 0;
  [[nodiscard]] virtual tl::expected<cluster::query_answer, cluster::refusal> query(
      const std::string& what) = 0;
  [[nodiscard]] virtual tl::expected<std::string, cluster::refusal> content(
      const cluster::digest& name) = 0;
};

}  // namespace troupe
