// SPDX-License-Identifier: Apache-2.0
//
// Writes the head of an HTTP/1.x response and frames its body.
//
// Source   RFC 9112 sections 4, 6, 7; the order of fields is nginx's.
// Thread   shard.
// Called   by actors/connection.
#pragma once

#include "net/exchange.hpp"

namespace troupe::net {

/// Decides the framing and whether the connection can stay, and appends the head to x.wire.
void write_response_head(exchange& x);

/// Moves body_out to x.wire, framed.
void write_response_body(exchange& x, bool last);

}  // namespace troupe::net
