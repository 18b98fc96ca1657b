// SPDX-License-Identifier: Apache-2.0
//
// Contents in memory: of nodes that are simulated, many in a process.
//
// Thread   cluster.
// Called   by tests/cluster, tests/bench.
#pragma once

#include "cluster/blob_source.hpp"

#include <unordered_map>
#include <vector>

namespace troupe::cluster {

class memory_blobs : public blob_source {
 public:
  [[nodiscard]] bool has(const digest& name) const override { return all_.contains(name); }
  [[nodiscard]] tl::expected<std::string, refusal> get(const digest& name) const override {
    const auto found = all_.find(name);
    if (found != all_.end()) return found->second;
    return tl::unexpected(refusal{.errc = refusal_errc::missing,
                                  .reason = "there is no content " + name.text()});
  }
  [[nodiscard]] tl::expected<void, refusal> put(const digest& name,
                                                std::string_view content) override {
    if (digest::of(content) != name) {
      return tl::unexpected(
          refusal{.errc = refusal_errc::damaged,
                  .reason = "a content is not what its name says: " + name.text()});
    }
    all_.insert_or_assign(name, std::string(content));
    return {};
  }
  [[nodiscard]] tl::expected<void, refusal> flush() override { return {}; }
  void remove(const digest& name) { all_.erase(name); }
  [[nodiscard]] std::vector<digest> names() const {
    std::vector<digest> result;
    for (const auto& [name, content] : all_) result.push_back(name);
    return result;
  }
  void clear() { all_.clear(); }

 private:
  std::unordered_map<digest, std::string> all_;
};

}  // namespace troupe::cluster
