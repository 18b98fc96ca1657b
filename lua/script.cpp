// SPDX-License-Identifier: Apache-2.0
#include "lua/script.hpp"

#include <algorithm>

#include "lua/current.hpp"
#include "lua/slice.hpp"
#include "lua/timer_set.hpp"
#include "lua/traceback.hpp"
#include "lua/vm.hpp"
#include "net/event_loop.hpp"
#include "net/exchange.hpp"
#include "net/settings.hpp"

namespace troupe::lua {

void coroutine::wake_timer::on_timer() noexcept {
  if (const net::exchange* x = self->owner->exchange();
      x != nullptr && x->enabled(net::log_level::debug)) {
    x->write(net::log_level::debug, "lua sleep timer expired: \"" + std::string(x->uri) + "?" +
                                        std::string(x->args) + "\"");
  }
  self->owner->host().wake(self->token);
}

script* script_host::deliver(wait_token token) {
  coroutine* co = waits.take(token);
  if (co == nullptr) return nullptr;
  script* owner = co->owner;
  net::event_loop& timers = loop();
  timers.timers().cancel(co->timer);
  co->token = wait_token::none;
  co->pinned = nullptr;
  co->status = coroutine_state::ready;
  int arguments = 0;
  if (co->finish != nullptr) {
    // Results are pushed in the context of the script, as the API function itself would do.
    const run_context before = current;
    current.machine = &owner->machine_;
    current.running = owner;
    current.exchange = owner->exchange_;
    arguments = co->finish(co->state, co->operation);
    current = before;
  }
  co->operation = nullptr;
  owner->run(co, arguments);
  return owner;
}

script::script(vm& machine, script_host& host) : machine_(machine), host_(host) {}

script::~script() { kill(); }

int& script::ctx_slot() noexcept {
  return exchange_ != nullptr ? exchange_->ctx_ref : ctx_slot_;
}

const net::location_settings& script::settings() const noexcept {
  static const net::location_settings standard;
  const net::location_settings* found = nullptr;
  if (exchange_ != nullptr) found = exchange_->settings;
  else if (origin != nullptr) found = origin->settings;
  if (found == nullptr) found = machine_.options().settings;
  return found != nullptr ? *found : standard;
}

net::belongings& script::belongings() noexcept {
  return exchange_ != nullptr ? exchange_->sockets : belongings_;
}

script::progress script::start(int chunk, phase where, net::exchange* x, const net::log_context& log) {
  coroutine& entry = machine_.acquire_entry();
  machine_.push_chunk(entry.state, chunk);
  return start(entry, 0, where, x, log);
}

script::progress script::start(lua_State* from, int arguments, phase where, net::exchange* x,
                               const net::log_context& log) {
  coroutine& entry = machine_.acquire_entry();
  lua_xmove(from, entry.state, arguments + 1);
  return start(entry, arguments, where, x, log);
}

script::progress script::start(coroutine& first, int arguments, phase where, net::exchange* x,
                               const net::log_context& log) {
  kill();
  exchange_ = x;
  log_ = &log;
  phase_ = where;
  first.owner = this;
  first.kind = coroutine_kind::entry;
  first.parent = nullptr;
  entry_ = &first;
  entry_done_ = false;
  results_ = nullptr;
  result_count_ = 0;
  exit_code = 0;
  exited = false;
  live_threads_ = 0;
  lua_setexdata2(first.state, &first);
  return run(&first, arguments);
}

script::progress script::run(coroutine* co, int arguments) {
  const run_context before = current;
  // Of runs within runs (filters) the outermost counts.
  struct counted {
    slice* watched;
    explicit counted(slice* one) : watched(one) {
      if (watched != nullptr) watched->begin();
    }
    ~counted() {
      if (watched != nullptr) watched->end();
    }
  } const time(before.running == nullptr ? machine_.watched() : nullptr);
  current.machine = &machine_;
  current.running = this;
  current.exchange = exchange_;
  current.log = log_;
  current.clock = &host_.loop().clock();
  progress_ = progress::waiting;
  while (co != nullptr) {
    co->status = coroutine_state::running;
    request_ = request::none;
    lua_setexdata(co->state, exchange_);
    const int status = lua_resume(co->state, arguments);
    arguments = 0;
    if (status == LUA_YIELD) {
      switch (request_) {
        case request::wait: break;
        case request::wait_thread: co->status = coroutine_state::waiting; break;
        case request::stop:
          current = before;
          return conclude(progress::stopped);
        case request::resume: {
          // The arguments lie on the resumer's stack.
          const int count = target_->pending_arguments;
          lua_xmove(co->state, target_->state, count);
          lua_settop(co->state, 0);
          co->status = coroutine_state::normal;
          target_->parent = co;
          arguments = count;
          co = target_;
          continue;
        }
        case request::yield:
        case request::none: {  // none: a C library called lua_yield itself.
          coroutine* parent = co->parent;
          if (co->kind == coroutine_kind::user && parent != nullptr) {
            const int count = lua_gettop(co->state);
            co->status = coroutine_state::suspended;
            co->parent = nullptr;
            lua_pushboolean(parent->state, 1);
            lua_checkstack(parent->state, count + 1);
            lua_xmove(co->state, parent->state, count);
            arguments = count + 1;
            co = parent;
            continue;
          }
          lua_settop(co->state, 0);
          if (ready_.empty()) continue;  // Alone: goes on at once.
          co->status = coroutine_state::ready;
          ready_.push_back(co);
          break;
        }
        case request::spawn: {  // The spawner goes to the tail, the child runs at once.
          co->status = coroutine_state::ready;
          co->pending_arguments = 1;
          ready_.push_back(co);
          arguments = target_->pending_arguments;
          co = target_;
          continue;
        }
      }
      co = pick(arguments);
    } else if (status == 0) {
      co = ended(*co, lua_gettop(co->state), arguments);
    } else {
      co = broke(*co, status, arguments);
    }
    if (progress_ == progress::failed) {
      current = before;
      return conclude(progress::failed);
    }
    if (finished()) {
      current = before;
      return conclude(progress::done);
    }
  }
  current = before;
  return progress::waiting;
}

bool script::finished() const noexcept { return entry_done_ && live_threads_ == 0; }

coroutine* script::pick(int& arguments) {
  if (ready_.empty()) return nullptr;
  coroutine* next = ready_.front();
  ready_.erase(ready_.begin());
  arguments = next->pending_arguments;
  next->pending_arguments = 0;
  return next;
}

coroutine* script::ended(coroutine& co, int results, int& arguments) {
  switch (co.kind) {
    case coroutine_kind::entry:
      entry_done_ = true;
      co.status = coroutine_state::dead;
      results_ = co.state;
      result_count_ = results;
      return pick(arguments);
    case coroutine_kind::user: {
      coroutine* parent = co.parent;
      co.status = coroutine_state::dead;
      if (parent == nullptr) {  // Its resumer was killed.
        release(co, false);
        return pick(arguments);
      }
      lua_checkstack(parent->state, results + 1);
      lua_pushboolean(parent->state, 1);
      lua_xmove(co.state, parent->state, results);
      arguments = results + 1;
      release(co, false);
      return parent;
    }
    case coroutine_kind::thread: return thread_ended(co, true, results, arguments);
  }
  return nullptr;
}

namespace {
// Leaves on the stack what an error gives to ngx.thread.wait. As in ngx_lua, what error() was given comes
// before the message that it made of it.
int keep_error_values(lua_State* state) {
  lua_Debug frame;
  if (lua_gettop(state) == 2 && lua_type(state, 1) == LUA_TSTRING &&
      lua_type(state, 2) == LUA_TSTRING && lua_getstack(state, 0, &frame) != 0) {
    lua_getinfo(state, "S", &frame);
    std::size_t given_size = 0;
    std::size_t size = 0;
    const char* given = lua_tolstring(state, 1, &given_size);
    const char* message = lua_tolstring(state, 2, &size);
    if (*frame.what == 'C' && std::string_view(message, size).ends_with({given, given_size})) return 2;
  }
  if (lua_gettop(state) > 1) lua_replace(state, 1);
  lua_settop(state, 1);
  return 1;
}
}  // namespace

coroutine* script::broke(coroutine& co, int, int& arguments) {
  switch (co.kind) {
    case coroutine_kind::entry:
      describe_error(co);
      co.status = coroutine_state::dead;
      progress_ = progress::failed;
      return nullptr;
    case coroutine_kind::user: {
      coroutine* parent = co.parent;
      if (co.is_wrapped) remember_wrapped(co);
      co.status = coroutine_state::dead;
      if (parent == nullptr) {
        release(co, false);
        return pick(arguments);
      }
      lua_checkstack(parent->state, 2);
      lua_pushboolean(parent->state, 0);
      lua_xmove(co.state, parent->state, 1);
      arguments = 2;
      release(co, false);
      return parent;
    }
    case coroutine_kind::thread: {
      describe_error(co);
      if (log_->enabled(net::log_level::error)) {
        log_->write(net::log_level::error, "lua user thread aborted: runtime error: " + error_);
      }
      return thread_ended(co, false, keep_error_values(co.state), arguments);
    }
  }
  return nullptr;
}

coroutine* script::thread_ended(coroutine& co, bool ok, int results, int& arguments) {
  --live_threads_;
  co.succeeded = ok;
  coroutine* parent = co.parent;
  const bool awaited = parent != nullptr && parent->status == coroutine_state::waiting &&
                       parent->waits_for_any && co.waits_for == parent;
  if (!awaited) {
    co.status = coroutine_state::zombie;
    return pick(arguments);
  }
  for (auto& other : coroutines_) {
    if (other->waits_for == parent) other->waits_for = nullptr;
  }
  parent->waits_for_any = false;
  lua_pushboolean(parent->state, ok ? 1 : 0);
  lua_checkstack(parent->state, results);
  lua_xmove(co.state, parent->state, results);
  co.status = coroutine_state::dead;
  release(co, false);
  arguments = results + 1;
  return parent;
}

void script::describe_error(coroutine& co) {
  // Some errors are no strings: ngx_lua calls those "unknown reason".
  const char* text = lua_tostring(co.state, -1);
  error_message_ = text != nullptr ? std::string(text, lua_objlen(co.state, -1)) : "unknown reason";
  if (!wrapped_message_.empty() && error_message_ == wrapped_message_) {
    error_ = std::move(wrapped_error_);
    wrapped_message_.clear();
    return;
  }
  error_ = error_message_;
  append_traceback(error_, co);
}

// coroutine.wrap raises the error again in its resumer, whose traceback does not show where it came
// from; the innermost one does.
void script::remember_wrapped(coroutine& co) {
  const char* text = lua_tostring(co.state, -1);
  if (text == nullptr || wrapped_message_ == text) return;
  wrapped_message_ = wrapped_error_ = text;
  append_traceback(wrapped_error_, co);
}

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

coroutine& script::create(lua_State* state, coroutine_kind kind) {
  auto record = std::make_unique<coroutine>();
  coroutine& co = *record;
  co.state = lua_newthread(state);
  lua_pushvalue(state, -1);
  co.anchor = luaL_ref(state, LUA_REGISTRYINDEX);
  co.kind = kind;
  co.owner = this;
  co.status = coroutine_state::suspended;
  lua_setexdata2(co.state, &co);
  coroutines_.push_back(std::move(record));
  return co;
}

int script::resume_child(lua_State* state, coroutine& child, int arguments) {
  coroutine* co = of(state);
  script& self = *co->owner;
  self.request_ = request::resume;
  self.target_ = &child;
  child.pending_arguments = arguments;
  lua_checkstack(child.state, arguments + 1);
  return lua_yield(state, arguments);
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
  coroutine& child = self.create(state, coroutine_kind::thread);
  lua_insert(state, 1);  // The new thread, to return it.
  child.parent = parent;
  child.pending_arguments = arguments;
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
  coroutine* last = nullptr;
  for (int i = 1; i <= count; ++i) {
    lua_State* thread = lua_tothread(state, i);
    coroutine* child = of(thread);
    last = child;
    if (child == nullptr) continue;  // Over and collected.
    if (child->status == coroutine_state::zombie) {
      const int results = lua_gettop(child->state);
      lua_settop(state, 0);
      lua_checkstack(state, results + 1);
      lua_pushboolean(state, child->succeeded ? 1 : 0);
      lua_xmove(child->state, state, results);
      child->status = coroutine_state::dead;
      self.release(*child, false);
      return lua_gettop(state);
    }
  }
  if (last == nullptr || last->status == coroutine_state::dead) {
    for (int i = 1; i <= count; ++i) {
      if (coroutine* child = of(lua_tothread(state, i))) child->waits_for = nullptr;
    }
    lua_pushnil(state);
    lua_pushliteral(state, "already waited or killed");
    return 2;
  }
  for (int i = 1; i <= count; ++i) {
    if (coroutine* child = of(lua_tothread(state, i))) child->waits_for = parent;
  }
  parent->waits_for_any = true;
  self.request_ = request::wait_thread;
  return lua_yield(state, 0);
}

int script::kill_thread(lua_State* state) {
  coroutine* child = of(lua_tothread(state, 1));
  script& self = *of(state)->owner;
  if (child->status == coroutine_state::zombie) {
    self.release(*child, false);
    lua_pushnil(state);
    lua_pushliteral(state, "already terminated");
    return 2;
  }
  self.release_resumed(*child);
  std::erase(self.ready_, child);
  --self.live_threads_;
  self.release(*child, false);
  lua_pushinteger(state, 1);
  return 1;
}

// What a coroutine that is killed had resumed ends with it.
void script::release_resumed(coroutine& co) noexcept {
  for (;;) {
    const auto found = std::find_if(coroutines_.begin(), coroutines_.end(), [&](const auto& other) {
      return other->parent == &co && other->kind == coroutine_kind::user;
    });
    if (found == coroutines_.end()) return;
    coroutine& resumed = **found;
    release_resumed(resumed);
    std::erase(ready_, &resumed);
    release(resumed, false);
  }
}

bool script::set_abort_handler(lua_State* state) {
  coroutine* caller = of(state);
  script& self = *caller->owner;
  if (self.abort_handler_ != nullptr) return false;
  coroutine& co = self.create(state, coroutine_kind::thread);  // Pushes the Lua thread.
  co.parent = caller;
  lua_insert(state, -2);
  lua_xmove(state, co.state, 1);
  self.abort_handler_ = &co;
  return true;
}

bool script::run_abort_handler() {
  if (entry_ == nullptr || abort_handler_ == nullptr) return false;
  coroutine* co = std::exchange(abort_handler_, nullptr);
  ++live_threads_;
  run(co, 0);
  return true;
}

void script::release(coroutine& co, bool reusable) noexcept {
  if (co.token != wait_token::none) {
    host_.waits.take(co.token);
    if (co.timer.is_armed() && log_ != nullptr && log_->enabled(net::log_level::debug)) {
      log_->write(net::log_level::debug, "lua clean up the timer for pending ngx.sleep");
    }
    host_.loop().timers().cancel(co.timer);
    if (co.cancel != nullptr) co.cancel(co.operation);
    co.token = wait_token::none;
    co.operation = nullptr;
  }
  if (co.kind == coroutine_kind::entry) {
    machine_.release_entry(co, reusable);
    return;
  }
  // Coroutines that the dead one had resumed have lost their resumer.
  for (auto& other : coroutines_) {
    if (other->parent == &co) other->parent = nullptr;
    if (other->waits_for == &co) other->waits_for = nullptr;
  }
  machine_.release(co, false);
  auto found = std::find_if(coroutines_.begin(), coroutines_.end(),
                            [&](const auto& record) { return record.get() == &co; });
  if (found != coroutines_.end()) {
    std::swap(*found, coroutines_.back());
    coroutines_.pop_back();
  }
}

script::progress script::conclude(progress p) noexcept {
  progress_ = p;
  ready_.clear();
  abort_handler_ = nullptr;
  while (!coroutines_.empty()) release(*coroutines_.back(), false);
  live_threads_ = 0;
  if (entry_ != nullptr) {
    coroutine& entry = *entry_;
    // The results stay readable on the entry's stack until the VM hands it out again.
    release(entry, p == progress::done);
    entry_ = nullptr;
  }
  belongings_.end();
  if (ctx_slot_ > 0) machine_.release_ctx(std::exchange(ctx_slot_, 0));
  return p;
}

void script::kill() noexcept {
  if (entry_ != nullptr) conclude(progress::stopped);
}

}  // namespace troupe::lua
