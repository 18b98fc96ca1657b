// SPDX-License-Identifier: Apache-2.0
//
// The node's blob store, as the protocol sees it.
//
// Source   docs/architecture.md, "Releases as bytes".
// Thread   cluster; the store itself has a mutex.
// Called   by cluster/agent's owner.
#pragma once

#include "cluster/blob_source.hpp"
#include "cluster/blob_store.hpp"

namespace troupe::cluster {

class stored_blobs : public blob_source {
 public:
  explicit stored_blobs(blob_store& store) noexcept : store_(store) {}

  [[nodiscard]] bool has(const digest& name) const override { return store_.has(name); }
  [[nodiscard]] tl::expected<std::string, refusal> get(const digest& name) const override {
    return store_.get(name);
  }
  [[nodiscard]] tl::expected<void, refusal> put(const digest& name,
                                                std::string_view content) override {
    return store_.put(name, content);
  }
  [[nodiscard]] tl::expected<void, refusal> flush() override { return store_.flush(); }

 private:
  blob_store& store_;
};

}  // namespace troupe::cluster
