// SPDX-License-Identifier: Apache-2.0
#include "lua/semaphore.hpp"

#include "lua/script.hpp"
#include "net/event_loop.hpp"

namespace troupe::lua {

semaphore::~semaphore() {
  while (first_ != nullptr) leave(*first_);
}

void semaphore::leave(waiter& one) noexcept {
  (one.previous != nullptr ? one.previous->next : first_) = one.next;
  (one.next != nullptr ? one.next->previous : last_) = one.previous;
  one.next = one.previous = nullptr;
  one.of = nullptr;
  --waiting_;
}

void semaphore::post(std::int64_t resources) noexcept {
  resources_ += resources;
  while (resources_ > 0 && first_ != nullptr) {
    waiter& one = *first_;
    leave(one);
    --resources_;
    one.served_by = this;
    one.host->loop().timers().cancel(one);
    one.host->wake(one.token);
  }
}

bool semaphore::try_wait() noexcept {
  if (resources_ <= 0 || first_ != nullptr) return false;
  --resources_;
  return true;
}

int semaphore::wait(lua_State* state, std::int64_t ms) {
  auto* one = new waiter;
  one->host = &script::of(state)->owner->host();
  one->token = script::begin_wait(state, one, finish, cancel);  // Deletes it when it raises.
  one->of = this;
  one->previous = last_;
  (last_ != nullptr ? last_->next : first_) = one;
  last_ = one;
  ++waiting_;
  one->host->loop().timers().arm(*one, ms);
  return lua_yield(state, lua_gettop(state));  // Keeps it from the collector.
}

void semaphore::waiter::on_timer() noexcept {
  if (of != nullptr) of->leave(*this);
  host->wake(token);
}

int semaphore::finish(lua_State* state, void* operation) {
  auto* one = static_cast<waiter*>(operation);
  const bool served = one->served_by != nullptr;
  delete one;
  if (served) {
    lua_pushboolean(state, 1);
    return 1;
  }
  lua_pushnil(state);
  lua_pushliteral(state, "timeout");
  return 2;
}

// The light thread was killed while it waited. What it got in the same moment is for the next one.
void semaphore::cancel(void* operation) noexcept {
  auto* one = static_cast<waiter*>(operation);
  semaphore* const served_by = one->served_by;
  if (one->of != nullptr) one->of->leave(*one);
  delete one;
  if (served_by != nullptr) served_by->post(1);
}

}  // namespace troupe::lua
