// SPDX-License-Identifier: Apache-2.0
//
// The timers of a VM: what ngx.timer.at and ngx.timer.every made and what has not run yet. One that
// is due goes to the runner, which makes an actor of it.
//
// Source   "ngx.timer.at", "ngx.timer.every", "lua_max_pending_timers", "lua_max_running_timers" of
//          ngx_lua's README.
// Thread   that of the VM.
// Memory   function and arguments lie on the stack of a pooled coroutine; one allocation a timer.
// Called   by lua/api/timer.cpp; the runner is actors/shard_release.
#pragma once

#include <lua.hpp>

#include <cstdint>
#include <list>
#include <string>

#include "net/timer_wheel.hpp"

namespace troupe::net {
class event_loop;
struct location_settings;
class log_context;
}  // namespace troupe::net

namespace troupe::lua {

struct coroutine;
class vm;

/// Whose code made a timer: what its log lines say, and where they go.
struct timer_origin {
  std::string client;    ///< Address; empty: no client.
  std::string listener;  ///< As configured: "0.0.0.0:80".
  const net::log_context* log = nullptr;
  const net::location_settings* settings = nullptr;
};

/// A timer that has to run now.
struct due_timer {
  coroutine* entry = nullptr;  ///< On its stack: the function and its arguments.
  int arguments = 0;
  bool is_premature = false;
  timer_origin origin;
};

class timer_runner {
public:
  [[nodiscard]] virtual net::event_loop& loop() noexcept = 0;
  /// Makes it run soon, between timer_set::begin() and ended().
  virtual void run(due_timer timer) = 0;

protected:
  ~timer_runner() = default;
};

class timer_set {
public:
  explicit timer_set(vm& machine) : machine_(machine) {}
  ~timer_set();

  /// From here on timers can be made.
  void attach(timer_runner& runner) noexcept { runner_ = &runner; }
  [[nodiscard]] bool is_attached() const noexcept { return runner_ != nullptr; }

  /// Takes the function and its arguments, the upper `count` values of the stack, off `from`.
  /// @return null, or why there is no timer.
  const char* add(lua_State* from, int count, std::int64_t delay_ms, bool repeats,
                  timer_origin origin);

  /// Runs all that wait, prematurely: the VM is about to go.
  void expire_all();
  /// Those that wait never run: what ran them goes.
  void drop_all() noexcept { pending_.clear(); }
  /// Whether one that is due may run, or too many do; the log says so then.
  bool begin(const due_timer& timer);
  /// One that could begin has ended.
  void ended() noexcept { --running_; }

  [[nodiscard]] int pending() const noexcept { return static_cast<int>(pending_.size()); }
  [[nodiscard]] int running() const noexcept { return running_; }

private:
  struct waiting final : net::timer {
    void on_timer() noexcept override { set->expire(*this); }
    timer_set* set = nullptr;
    std::list<waiting>::iterator place;
    std::int64_t repeat_ms = 0;  ///< 0: once.
    due_timer what;
  };

  waiting& arm(coroutine& entry, int arguments, std::int64_t delay_ms, timer_origin origin);
  void expire(waiting& one);
  void repeat(const waiting& one);

  vm& machine_;
  timer_runner* runner_ = nullptr;
  std::list<waiting> pending_;
  int running_ = 0;
};

}  // namespace troupe::lua
