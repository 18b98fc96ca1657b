// SPDX-License-Identifier: Apache-2.0
#include "lua/change_watch.hpp"

#include "lua/script.hpp"

namespace troupe::lua {

int change_watch::wait(lua_State* state, bool has_changed) {
  if (has_ended_ || has_changed) {
    lua_pushboolean(state, has_ended_ ? 0 : 1);
    return 1;
  }
  auto* one = new waiter;
  one->host = &script::of(state)->owner->host();
  one->token = script::begin_wait(state, one, finish, cancel);  // Deletes it when it raises.
  one->of = this;
  one->watch = this;
  one->next = first_;
  if (first_ != nullptr) first_->previous = one;
  first_ = one;
  return lua_yield(state, 0);
}

void change_watch::leave(waiter& one) noexcept {
  (one.previous != nullptr ? one.previous->next : first_) = one.next;
  if (one.next != nullptr) one.next->previous = one.previous;
  one.next = one.previous = nullptr;
  one.of = nullptr;
}

void change_watch::wake_all() noexcept {
  while (first_ != nullptr) {
    waiter& one = *first_;
    leave(one);
    one.host->wake(one.token);
  }
}

void change_watch::end() noexcept {
  has_ended_ = true;
  wake_all();
}

int change_watch::finish(lua_State* state, void* operation) {
  auto* one = static_cast<waiter*>(operation);
  lua_pushboolean(state, one->watch->has_ended_ ? 0 : 1);
  delete one;
  return 1;
}

void change_watch::cancel(void* operation) noexcept {
  auto* one = static_cast<waiter*>(operation);
  if (one->of != nullptr) one->of->leave(*one);
  delete one;
}

}  // namespace troupe::lua
