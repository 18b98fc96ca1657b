// SPDX-License-Identifier: Apache-2.0
//
// What a thread's connections to others share: pools, resolvers, the TLS of those who say nothing of
// theirs.
//
// Thread   that of its event loop.
#pragma once

#include "net/resolver.hpp"
#include "net/stream_pool.hpp"
#include "net/tls_client.hpp"

namespace troupe::net {

struct client_services {
  explicit client_services(event_loop& loop) : names(loop), pools(loop) {}

  resolvers names;
  stream_pools pools;
  std::shared_ptr<const tls_client> standard_tls;  ///< Made when it is first needed.
};

}  // namespace troupe::net
