// SPDX-License-Identifier: Apache-2.0
//
// Sees to it that no script hogs its shard: `lua_max_slice`. A thread of its own looks at each shard a
// few times in that time, and interrupts one whose script has not come to a wait.
//
// Source   docs/directives.md, lua_max_slice.
// Thread   watch(), stop(): any. Shards are interrupted by SIGURG, which is otherwise ignored.
// Called   by runtime/node.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace troupe::actors {

class shard;

class slice_watchdog {
public:
  /// Its thread has the priority of the one that makes it.
  slice_watchdog();
  ~slice_watchdog() { stop(); }

  /// From here on so many milliseconds are allowed; 0: any number.
  void watch(std::vector<shard*> shards, std::int64_t most_ms);
  void stop();

private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<shard*> shards_;
  std::int64_t most_ms_ = 0;
  bool stopping_ = false;
  bool has_handler_ = false;
  std::thread thread_;
};

}  // namespace troupe::actors
