// SPDX-License-Identifier: Apache-2.0
//
// etcd's watch through its HTTP gateway, as programs without gRPC use it: from a put until the last
// of many watchers has the event.
//
// Source   etcd's "Why gRPC gateway".
// Called   by tests/bench/push_nodes.
#pragma once

namespace troupe::bench {

void etcd_watch(int port, int watchers, int times);

}  // namespace troupe::bench
