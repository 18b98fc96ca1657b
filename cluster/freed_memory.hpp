// SPDX-License-Identifier: Apache-2.0
//
// What a process that sends to many nodes does with memory that it has let go. An announcement is
// encrypted into memory of its own for each node, and gone when it is sent: malloc would give that back
// to the system and get it anew, page by page, for each of them, which is a quarter of the time of a
// push to a thousand nodes.
//
// Source   mallopt(3).
// Thread   any; for the whole process, from the first call on.
// Called   by cluster/lower_sockets, tests/bench.
#pragma once

namespace troupe::cluster {

/// Up to 32 MB of each of malloc's arenas stay with the process, and single pieces up to 4 MB.
void keep_freed_memory();

}  // namespace troupe::cluster
