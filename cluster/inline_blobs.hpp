// SPDX-License-Identifier: Apache-2.0
//
// The contents that travel with the announcement of a release: what its parent does not have, up to
// inline_blob_bytes, since CURVE encrypts them once for each subscriber. The rest is pulled.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster.
// Errors   none: what cannot be read is left out, and pulled.
// Called   by cluster/controller.
#pragma once

#include "cluster/blob_source.hpp"
#include "cluster/cluster_state.hpp"
#include "cluster/messages.hpp"
#include "cluster/read_through_blobs.hpp"

namespace troupe::cluster {

/// @param state  with the change applied. @return nothing for an order that is no release.
[[nodiscard]] std::vector<sent_blob> inline_blobs(const order& what, const change& in,
                                                  const cluster_state& state,
                                                  const blob_source& blobs,
                                                  read_through_blobs& served);

}  // namespace troupe::cluster
