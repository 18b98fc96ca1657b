// SPDX-License-Identifier: Apache-2.0
//
// Contents for those who ask, in pieces of their compressed form, which is made once for all of
// them.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster.
// Called   by cluster/controller, cluster/relay, cluster/follower.
#pragma once

#include "cluster/blob_source.hpp"
#include "cluster/messages.hpp"

#include <list>
#include <unordered_map>

namespace troupe::cluster {

class blob_server {
 public:
  explicit blob_server(const blob_source& blobs) : blobs_(blobs) {}

  /// `gone` if it is not here.
  [[nodiscard]] blob_piece answer(const fetch_blob& asked);
  /// Each a `blob_piece`, or several `blob_pieces` of no more than some hundred kilobytes.
  [[nodiscard]] std::vector<message> answer(const std::vector<fetch_blob>& asked);
  /// None if it is not here.
  [[nodiscard]] const std::string* compressed(const digest& name);

 private:
  static constexpr std::size_t max_cached_bytes = 32 * 1024 * 1024;

  struct cached {
    std::string bytes;
    std::list<digest>::iterator age;
  };
  const blob_source& blobs_;
  std::unordered_map<digest, cached> cache_;
  std::list<digest> by_age_;  ///< The last used first.
  std::size_t cached_bytes_ = 0;
};

}  // namespace troupe::cluster
