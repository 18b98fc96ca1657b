// SPDX-License-Identifier: Apache-2.0
//
// A semaphore between light threads of one VM, whichever requests and timers they belong to. Who has
// waited longest is served first.
//
// Source   "ngx.semaphore" of lua-resty-core.
// Thread   that of the VM.
// Memory   one allocation for each wait that has to wait.
// Called   by lua/api/semaphore.cpp.
#pragma once

#include <lua.hpp>

#include <cstdint>

#include "lua/wait_table.hpp"
#include "net/timer_wheel.hpp"

namespace troupe::lua {

class script_host;

class semaphore {
public:
  explicit semaphore(std::int64_t resources) : resources_(resources) {}
  /// Who waits still will not be served.
  ~semaphore();
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;

  void post(std::int64_t resources) noexcept;
  /// Takes one without waiting, unless others wait already.
  bool try_wait() noexcept;
  /// Use as `return wait(L, ms)`: true, or nil and "timeout".
  int wait(lua_State* state, std::int64_t ms);
  /// Resources less those who wait.
  [[nodiscard]] std::int64_t count() const noexcept { return resources_ - waiting_; }

private:
  struct waiter final : net::timer {
    void on_timer() noexcept override;
    semaphore* of = nullptr;  ///< Null: out of the queue.
    script_host* host = nullptr;
    wait_token token = wait_token::none;
    waiter* next = nullptr;
    waiter* previous = nullptr;
    semaphore* served_by = nullptr;
  };
  static int finish(lua_State* state, void* operation);
  static void cancel(void* operation) noexcept;
  void leave(waiter& one) noexcept;

  std::int64_t resources_;
  std::int64_t waiting_ = 0;
  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
};

}  // namespace troupe::lua
