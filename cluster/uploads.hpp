// SPDX-License-Identifier: Apache-2.0
//
// Contents that somebody who pushes sends in pieces of their compressed form. Bounded: in number
// and in bytes, over all who send.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster.
// Errors   in the answer; a piece that does not follow begins the content anew.
// Called   by cluster/controller.
#pragma once

#include "cluster/blob_source.hpp"
#include "cluster/links.hpp"

#include <map>

namespace troupe::cluster {

class uploads {
 public:
  explicit uploads(blob_source& blobs) : blobs_(blobs) {}

  [[nodiscard]] put_answer take(const peer_id& from, const put_blob& piece);
  /// Drops what was begun.
  void forget(const peer_id& from);

 private:
  static constexpr std::size_t max_begun = 1'000;
  static constexpr std::uint64_t max_content_bytes = 1u << 30;
  static constexpr std::uint64_t max_begun_bytes = 1u << 30;

  using key = std::pair<peer_id, digest>;
  blob_source& blobs_;
  std::map<key, std::string> begun_;
  std::uint64_t bytes_ = 0;
};

}  // namespace troupe::cluster
