// SPDX-License-Identifier: Apache-2.0
//
// What a thread's connections to others share: pools, resolvers, the TLS of those who say nothing of
// theirs. Beside them, the children that nobody waits for any more.
//
// Thread   that of its event loop.
#pragma once

#include "net/child_reaper.hpp"
#include "net/resolver.hpp"
#include "net/stream_pool.hpp"
#include "net/tls_client.hpp"

namespace troupe::net {

struct client_services {
  explicit client_services(event_loop& loop) : names(loop), pools(loop), children(loop) {}

  resolvers names;
  stream_pools pools;
  child_reaper children;
  std::shared_ptr<const tls_client> standard_tls;  ///< Made when it is first needed.
};

}  // namespace troupe::net
