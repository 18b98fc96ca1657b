// SPDX-License-Identifier: Apache-2.0
//
// Lua VMs with the API in them and nothing of an app yet. To make one takes longer than all the rest of
// a small release, so a node that has been given a release keeps some for the next: one a shard, four
// at most, some two megabytes each.
//
// Thread   any; they are made by a thread of this one's own, at the lowest priority.
// Errors   none: where there is no spare, the loader makes a VM itself.
// Called   by runtime/node, runtime/machine_builder.
#pragma once

#include "lua/vm.hpp"

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace troupe {

class spare_machines {
 public:
  spare_machines() = default;
  ~spare_machines();
  spare_machines(const spare_machines&) = delete;
  spare_machines& operator=(const spare_machines&) = delete;

  /// Null: there is none.
  [[nodiscard]] std::unique_ptr<lua::vm> take();
  /// Makes those that are missing, in the background.
  void refill(unsigned shards);

 private:
  void work(std::size_t wanted);

  std::mutex mutex_;  ///< Guards what follows.
  std::vector<std::unique_ptr<lua::vm>> spare_;
  bool is_working_ = false;
  bool is_ending_ = false;
  std::thread worker_;
};

}  // namespace troupe
