// SPDX-License-Identifier: Apache-2.0
//
// What the functions of the API ask of the script that runs: to wait, to stop, coroutines and light threads.
//
// Source   "ngx.thread.spawn", "coroutine.create" of ngx_lua's README.
// Thread   that of the VM.
// Called   by lua/api.
#include "lua/script.hpp"

#include <utility>

#include "lua/memory_cap.hpp"
#include "lua/vm.hpp"
#include "net/event_loop.hpp"

namespace troupe::lua {

void script::register_wait(coroutine& co) noexcept {
  co.status = coroutine_state::waiting;
  co.token = host_.waits.add(co);
}

wait_token script::begin_wait(lua_State* state, void* operation,
                              int (*finish)(lua_State*, void*), void (*cancel)(void*) noexcept) {
  coroutine* co = of(state);
  if (co == nullptr || co->is_nested || !lua_isyieldable(state)) {
    if (cancel != nullptr) cancel(operation);
    refuse_wait(state);
  }
  co->operation = operation;
  co->finish = finish;
  co->cancel = cancel;
  co->owner->register_wait(*co);
  co->owner->request_ = request::wait;
  return co->token;
}

int script::refuse_wait(lua_State* state) {
  lua_Debug frame;
  for (int level = 1; lua_getstack(state, level, &frame) != 0; ++level) {
    lua_getinfo(state, "nS", &frame);
    if (*frame.what != 'C' || frame.name == nullptr) continue;
    const std::string_view name = frame.name;
    if (name == "pcall" || name == "xpcall") continue;  // These can wait.
    return luaL_error(state, "attempt to yield across C-call boundary: '%s' is below and cannot wait",
                      frame.name);
  }
  return luaL_error(state, "attempt to yield across C-call boundary");
}

int script::wait(lua_State* state, void* operation, int (*finish)(lua_State*, void*),
                 void (*cancel)(void*) noexcept) {
  begin_wait(state, operation, finish, cancel);
  return lua_yield(state, 0);
}

int script::sleep(lua_State* state, std::int64_t ms) {
  coroutine* co = of(state);
  if (co == nullptr || co->is_nested || !lua_isyieldable(state)) {
    return refuse_wait(state);
  }
  co->operation = nullptr;
  co->finish = nullptr;
  co->cancel = nullptr;
  co->owner->register_wait(*co);
  co->timer.self = co;
  co->owner->host_.loop().timers().arm(co->timer, ms);
  co->owner->request_ = request::wait;
  return lua_yield(state, 0);
}

int script::stop(lua_State* state) {
  coroutine* co = of(state);
  if (co == nullptr || co->is_nested || !lua_isyieldable(state)) {
    return refuse_wait(state);
  }
  co->owner->request_ = request::stop;
  return lua_yield(state, 0);
}

void script::create(lua_State* state, bool is_wrapped) {
  lua_State* made = lua_newthread(state);
  coroutine_mark{is_wrapped ? coroutine_mark::suspended_wrapped : coroutine_mark::suspended,
                 machine_.next_id(), id_}
      .set(made);
  lua_insert(state, -2);
  lua_xmove(state, made, 1);
}

coroutine& script::activate(lua_State* target) {
  const auto mark = coroutine_mark::of(target);
  coroutine& co = add(target, coroutine_kind::user, mark.id);
  co.is_wrapped = mark.what == coroutine_mark::suspended_wrapped;
  return co;
}

int script::resume_child(lua_State* state, coroutine& child, int arguments) {
  coroutine* co = of(state);
  script& self = *co->owner;
  self.request_ = request::resume;
  self.target_ = &child;
  child.pending_arguments = arguments;
  const memory_cap::scope free(self.machine_.memory(), false);
  lua_checkstack(child.state, arguments + 1);
  return lua_yield(state, arguments + 1);
}

int script::yield_to_parent(lua_State* state) {
  coroutine* co = of(state);
  if (co != nullptr && !co->is_nested) co->owner->request_ = request::yield;
  return lua_yield(state, lua_gettop(state));
}

int script::spawn(lua_State* state) {
  // Function and arguments are on the stack.
  coroutine* parent = of(state);
  script& self = *parent->owner;
  const int arguments = lua_gettop(state) - 1;
  coroutine& child = self.add_thread(state);
  lua_insert(state, 1);  // The new thread, to return it.
  self.set_parent(child, parent);
  child.parent_id = parent->id;
  child.pending_arguments = arguments;
  const memory_cap::scope free(self.machine_.memory(), false);
  lua_checkstack(child.state, arguments + 1);
  lua_xmove(state, child.state, arguments + 1);
  ++self.live_threads_;
  self.request_ = request::spawn;
  self.target_ = &child;
  return lua_yield(state, 1);
}

int script::wait_thread(lua_State* state) {
  coroutine* parent = of(state);
  script& self = *parent->owner;
  const int count = lua_gettop(state);
  for (int i = 1; i <= count; ++i) {
    lua_State* thread = lua_tothread(state, i);
    const auto mark = coroutine_mark::of(thread);
    if (!mark.has_ended() || mark.script != self.id_) continue;
    const int results = lua_gettop(thread);
    lua_checkstack(state, results + 1);
    lua_pushboolean(state, mark.what == coroutine_mark::ended ? 1 : 0);
    lua_xmove(thread, state, results);
    lua_settop(thread, 0);
    coroutine_mark{}.set(thread);
    return results + 1;
  }
  if (of(lua_tothread(state, count)) == nullptr) {
    lua_pushnil(state);
    lua_pushliteral(state, "already waited or killed");
    return 2;
  }
  ++parent->wait_number;
  for (int i = 1; i <= count; ++i) {
    if (coroutine* child = of(lua_tothread(state, i))) child->awaited_by = parent->wait_number;
  }
  parent->waits_for_any = true;
  self.request_ = request::wait_thread;
  return lua_yield(state, 0);
}

int script::kill_thread(lua_State* state, coroutine& child) {
  script& self = *child.owner;
  self.release_resumed(child);
  std::erase(self.ready_, &child);
  --self.live_threads_;
  self.release(child, false);
  lua_pushinteger(state, 1);
  return 1;
}

bool script::set_abort_handler(lua_State* state) {
  coroutine* caller = of(state);
  script& self = *caller->owner;
  if (self.abort_handler_ != nullptr) return false;
  coroutine& co = self.add_thread(state);  // Pushes the Lua thread.
  self.set_parent(co, caller);
  co.parent_id = caller->id;
  lua_insert(state, -2);
  lua_xmove(state, co.state, 1);
  self.abort_handler_ = &co;
  return true;
}

}  // namespace troupe::lua
