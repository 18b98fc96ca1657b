// SPDX-License-Identifier: Apache-2.0
//
// Contents by digest, as the protocol needs them: cluster/blob_store on a node,
// cluster/memory_blobs for simulated ones.
//
// Source   docs/cluster.md, "State".
// Thread   cluster.
// Errors   refusals; after one the source is as it was.
// Called   by cluster/follower, cluster/controller, cluster/relay.
#pragma once

#include "cluster/digest.hpp"
#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>

namespace troupe::cluster {

class blob_source {
 public:
  virtual ~blob_source() = default;
  [[nodiscard]] virtual bool has(const digest& name) const = 0;
  /// has(), for who tells another that it need not send it: it is not swept before the order comes.
  [[nodiscard]] virtual bool keeps(const digest& name) const { return has(name); }
  [[nodiscard]] virtual tl::expected<std::string, refusal> get(const digest& name) const = 0;
  /// Verified.
  [[nodiscard]] virtual tl::expected<void, refusal> put(const digest& name,
                                                        std::string_view content) = 0;
  /// What was put is on the disk when it returns.
  [[nodiscard]] virtual tl::expected<void, refusal> flush() = 0;
};

}  // namespace troupe::cluster
