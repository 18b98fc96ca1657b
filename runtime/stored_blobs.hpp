// SPDX-License-Identifier: Apache-2.0
//
// The data folder's contents as the cluster's protocol needs them, and their sweeping: what came, or
// was said to be here, within the grace time stays, for the order that refers to it may still be on its way.
//
// Source   docs/cluster.md, "State".
// Thread   any; a mutex inside.
// Errors   the blob store's.
// Called   by cluster/agent, runtime/cluster_node.
#pragma once

#include "cluster/blob_source.hpp"
#include "cluster/blob_store.hpp"

#include <chrono>
#include <mutex>

namespace troupe {

class stored_blobs final : public cluster::blob_source {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes grace{10};

  explicit stored_blobs(cluster::blob_store& blobs)
      : blobs_(blobs), held_(blobs.keep_all()), last_use_(clock::now()) {}

  [[nodiscard]] bool has(const cluster::digest& name) const override { return blobs_.has(name); }
  /// As if it had come now.
  [[nodiscard]] bool keeps(const cluster::digest& name) const override {
    if (!blobs_.has(name)) return false;
    hold();
    return blobs_.has(name);
  }
  [[nodiscard]] tl::expected<std::string, cluster::refusal> get(
      const cluster::digest& name) const override {
    return blobs_.get(name);
  }
  [[nodiscard]] tl::expected<void, cluster::refusal> put(const cluster::digest& name,
                                                         std::string_view content) override {
    hold();
    return blobs_.put(name, content);
  }
  [[nodiscard]] tl::expected<void, cluster::refusal> flush() override { return blobs_.flush(); }

  /// Whether a sweep would remove anything now; it holds the store until then.
  [[nodiscard]] bool may_sweep(clock::time_point now) {
    const std::lock_guard lock(mutex_);
    if (now - last_use_ < grace) return false;
    held_.reset();
    return true;
  }

 private:
  void hold() const {
    const std::lock_guard lock(mutex_);
    if (!held_) held_ = blobs_.keep_all();
    last_use_ = clock::now();
  }

  cluster::blob_store& blobs_;
  mutable std::mutex mutex_;
  mutable cluster::blob_store::hold held_;
  mutable clock::time_point last_use_;
};

}  // namespace troupe
