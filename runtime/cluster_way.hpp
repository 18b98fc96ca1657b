// SPDX-License-Identifier: Apache-2.0
//
// A way to a cluster, for who may wait: by the agent of a node (agent_way), or straight over a link
// from the command line (runtime/commands).
//
// Source   docs/admin-api.md, "A node of a cluster".
// Thread   any but a shard's and the cluster's; calls wait for the answer.
// Errors   refusals; `not_leader` if no controller is heard, `io` if there was no answer in time.
// Called   by runtime/cluster_api.
#pragma once

#include "cluster/cluster_state.hpp"
#include "cluster/messages.hpp"
#include "cluster/own_requests.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// How a reason begins when no controller is heard, and what people can do then.
inline constexpr std::string_view no_controller_words = "no controller is heard";
inline constexpr std::string_view no_controller_hint =
    "start it again, or let another node lead, asked itself: `troupe cluster promote NODE --node ADDR`; "
    "--timeout S waits longer for one";

class cluster_way {
 public:
  /// How long something waits for a controller to be heard before it gives up, unless somebody says
  /// otherwise: enough for one that is started anew.
  static constexpr std::chrono::milliseconds usual_wait{2'000};

  virtual ~cluster_way() = default;

  /// Which of these the controller lacks.
  /// @param wait  for a controller to be heard; here and below.
  [[nodiscard]] virtual tl::expected<std::vector<cluster::digest>, cluster::refusal> missing(
      std::vector<cluster::digest> names, std::chrono::milliseconds wait) = 0;
  [[nodiscard]] virtual tl::expected<void, cluster::refusal> put(const cluster::digest& name,
                                                                 std::string content,
                                                                 std::chrono::milliseconds wait) = 0;
  /// Gets each progress as it comes, and null when a second has passed without one; false: it need not
  /// go on. Returns after the last one.
  using on_progress = std::function<bool(const cluster::progress*)>;
  virtual void submit(const cluster::signed_order& what, const on_progress& on,
                      std::chrono::milliseconds wait) = 0;

  [[nodiscard]] virtual tl::expected<std::shared_ptr<const cluster::cluster_state>, cluster::refusal>
  state() = 0;
  [[nodiscard]] virtual tl::expected<cluster::query_answer, cluster::refusal> query(
      const std::string& what, std::chrono::milliseconds wait) = 0;
  [[nodiscard]] virtual tl::expected<std::string, cluster::refusal> content(
      const cluster::digest& name) = 0;
};

}  // namespace troupe
