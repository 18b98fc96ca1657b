// SPDX-License-Identifier: Apache-2.0
//
// Closes VMs on a thread of its own: it takes milliseconds to free all that an app has made, which the
// requests of the shard would have to wait for. Finalizers run there, too, as those of init_by_lua do on
// a loader's thread; what belongs to a shard (sockets, timers, actors) has ended by then.
//
// Source   lua_close() of the Lua 5.1 manual.
// Errors   those of finalizers are dropped, as lua_close() drops them.
// Called   by actors/shard_release; runtime/node has one.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace troupe::lua {

class vm;

class vm_closer {
 public:
  vm_closer();
  /// Closes what is left.
  ~vm_closer();
  vm_closer(const vm_closer&) = delete;
  vm_closer& operator=(const vm_closer&) = delete;

  /// @param machine  no code runs in it, and none will. Its options stay valid until `then` is gone.
  /// @param then  runs once it is closed. Thread: any.
  void close(std::unique_ptr<vm> machine, std::function<void()> then);

 private:
  struct job {
    std::unique_ptr<vm> machine;
    std::function<void()> then;
  };
  void run();

  std::mutex mutex_;
  std::condition_variable has_changed_;
  std::vector<job> jobs_;   ///< Under mutex_.
  bool is_ending_ = false;  ///< Under mutex_.
  std::thread thread_;
};

}  // namespace troupe::lua
