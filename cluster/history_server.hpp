// SPDX-License-Identifier: Apache-2.0
//
// History for those who ask: changes after a position, or the last snapshot in pieces.
//
// Source   docs/cluster.md, "Joining and catching up".
// Thread   cluster.
// Called   by cluster/controller, cluster/relay, cluster/follower.
#pragma once

#include "cluster/change_log.hpp"
#include "cluster/messages.hpp"

#include <deque>

namespace troupe::cluster {

class history_server {
 public:
  explicit history_server(const change_log& log) : log_(log) {}

  [[nodiscard]] message answer(const fetch_changes& asked) const;
  [[nodiscard]] message answer(const fetch_snapshot& asked);

 private:
  struct kept {
    digest of;
    std::string compressed;  ///< Empty: history from its beginning, there is no snapshot.
  };
  const change_log& log_;
  std::deque<kept> kept_;  ///< The newest first; those who fetch the one before can finish.
};

}  // namespace troupe::cluster
