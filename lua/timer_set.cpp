// SPDX-License-Identifier: Apache-2.0
#include "lua/timer_set.hpp"

#include <utility>

#include "lua/coroutine.hpp"
#include "lua/vm.hpp"
#include "net/event_loop.hpp"
#include "net/log.hpp"

namespace troupe::lua {

using net::log_level;

timer_set::~timer_set() = default;

const char* timer_set::add(lua_State* from, int count, std::int64_t delay_ms, bool repeats,
                           timer_origin origin) {
  if (machine_.is_exiting() && delay_ms > 0) return "process exiting";
  if (pending() >= machine_.options().most_pending_timers) return "too many pending timers";
  const memory_cap::scope free(machine_.memory(), false);
  coroutine& entry = machine_.acquire_entry();
  lua_checkstack(entry.state, count + 2);
  lua_xmove(from, entry.state, count);
  waiting& one = arm(entry, count - 1, delay_ms, std::move(origin));
  if (repeats) one.repeat_ms = delay_ms;
  // Nobody keeps a VM that exits but the code that runs in it: this one has to be known at once.
  if (machine_.is_exiting()) expire(one);
  return nullptr;
}

timer_set::waiting& timer_set::arm(coroutine& entry, int arguments, std::int64_t delay_ms,
                                   timer_origin origin) {
  waiting& one = pending_.emplace_back();
  one.set = this;
  one.place = std::prev(pending_.end());
  one.what = {&entry, arguments, false, std::move(origin)};
  runner_->loop().timers().arm(one, delay_ms);
  return one;
}

void timer_set::expire(waiting& one) {
  const net::log_context* log = machine_.options().log;
  if (log != nullptr && log->enabled(log_level::debug)) {
    log->write(log_level::debug, "lua ngx.timer expired");
  }
  if (one.repeat_ms > 0 && !machine_.is_exiting()) repeat(one);
  due_timer due = std::move(one.what);
  pending_.erase(one.place);
  runner_->run(std::move(due));
}

// The next one gets copies: a callback may do with its arguments what it likes.
void timer_set::repeat(const waiting& one) {
  const memory_cap::scope free(machine_.memory(), false);
  coroutine& entry = machine_.acquire_entry();
  lua_State* from = one.what.entry->state;
  const int count = one.what.arguments + 1;
  lua_checkstack(from, count);
  lua_checkstack(entry.state, count + 2);
  for (int i = 1; i <= count; ++i) lua_pushvalue(from, i);
  lua_xmove(from, entry.state, count);
  arm(entry, one.what.arguments, one.repeat_ms, one.what.origin).repeat_ms = one.repeat_ms;
}

bool timer_set::begin(const due_timer& timer) {
  const int most = machine_.options().most_running_timers;
  if (running_ < most) {
    ++running_;
    return true;
  }
  lua_Debug function;
  const coroutine& entry = *timer.entry;
  lua_pushvalue(entry.state, 1);
  lua_getinfo(entry.state, ">S", &function);
  const net::log_context* log = machine_.options().log;
  if (log != nullptr && log->enabled(log_level::alert)) {
    log->write(log_level::alert, std::string("lua failed to run timer with function defined at ") +
                                     function.source + ":" + std::to_string(function.linedefined) +
                                     ": " + std::to_string(most) + " lua_max_running_timers are not enough");
  }
  return false;
}

void timer_set::expire_all() {
  const net::log_context* log = machine_.options().log;
  const bool logs = log != nullptr && log->enabled(log_level::debug);
  if (logs) log->write(log_level::debug, "lua abort pending timers");
  if (pending_.empty()) return;
  if (logs) {
    log->write(log_level::debug, "lua found " + std::to_string(pending_.size()) +
                                     " pending timers to be aborted prematurely");
  }
  // What a callback adds meanwhile is not part of this.
  for (auto left = pending_.size(); left > 0 && !pending_.empty(); --left) {
    waiting& one = pending_.front();
    one.what.is_premature = true;
    expire(one);
  }
}

}  // namespace troupe::lua
