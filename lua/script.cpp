// SPDX-License-Identifier: Apache-2.0
#include "lua/script.hpp"

#include <algorithm>
#include <utility>

#include "lua/current.hpp"
#include "lua/memory_cap.hpp"
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
    const memory_cap::scope free(owner->machine_.memory(), false);
    const bool has_room = owner->guard([&] { arguments = co->finish(co->state, co->operation); });
    current = before;
    if (!has_room) return owner;
  }
  co->operation = nullptr;
  owner->run(co, arguments);
  return owner;
}

net::belongings& script_host::mail_owner(script& running) noexcept { return running.belongings(); }

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
  const memory_cap::scope free(machine_.memory(), false);
  coroutine& entry = machine_.acquire_entry();
  machine_.push_chunk(entry.state, chunk);
  return start(entry, 0, where, x, log);
}

script::progress script::start(lua_State* from, int arguments, phase where, net::exchange* x,
                               const net::log_context& log) {
  const memory_cap::scope free(machine_.memory(), false);
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
  first.dependents = 0;
  first.id = machine_.next_id();
  id_ = machine_.next_id();
  is_condemned_ = false;
  slice_errors_ = 0;
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
  guard([&] { go_on(co, arguments); });
  return progress_;
}

// Values are handed from coroutine to coroutine, and to those that waited, outside of Lua, where nobody
// catches its errors: a stack that is deep already may have no room for them. (LuaJIT's errors pass
// through C++ as foreign exceptions.)
template <class Work>
bool script::guard(Work work) {
  const run_context before = current;
  try {
    work();
    return true;
  } catch (const std::exception&) {
    throw;
  } catch (...) {
    current = before;
    error_ = error_message_ = "stack overflow: no room for the values that a coroutine is given";
    conclude(progress::failed);
    return false;
  }
}

script::progress script::go_on(coroutine* co, int arguments) {
  const run_context before = current;
  // Of runs within runs (filters) the outermost counts.
  struct counted {
    slice* watched;
    interrupt& interrupts;
    counted(slice* one, interrupt& of) : watched(one), interrupts(of) {
      if (watched != nullptr) watched->begin();
    }
    ~counted() {
      if (watched == nullptr) return;
      watched->end();
      // It may have been meant while a C function ran, with no Lua code after it.
      interrupts.withdraw(interrupt::slice);
    }
  } const time(before.running == nullptr ? machine_.watched() : nullptr, machine_.interrupts());
  current.machine = &machine_;
  current.running = this;
  current.exchange = exchange_;
  current.log = log_;
  current.clock = &host_.loop().clock();
  progress_ = progress::waiting;
  // What is done for the code here is never refused memory: there is nobody to catch that.
  memory_cap& memory = machine_.memory();
  const memory_cap::scope free(memory, false);
  if (before.running == nullptr && memory.is_due()) machine_.collect();
  while (co != nullptr) {
    co->status = coroutine_state::running;
    request_ = request::none;
    lua_setexdata(co->state, exchange_);
    int status = 0;
    {
      const memory_cap::scope held(memory, true);
      status = lua_resume(co->state, arguments);
    }
    arguments = 0;
    if (is_condemned_) {
      machine_.interrupts().lower();
      current = before;
      return conclude(progress::failed);
    }
    if (status == LUA_YIELD) {
      switch (request_) {
        case request::wait: break;
        case request::wait_thread: co->status = coroutine_state::waiting; break;
        case request::stop:
          current = before;
          return conclude(progress::stopped);
        case request::resume: {
          // The arguments lie on the resumer's stack, and below them the coroutine, which stays.
          const int count = std::exchange(target_->pending_arguments, 0);
          lua_xmove(co->state, target_->state, count);
          co->status = coroutine_state::normal;
          set_parent(*target_, co);
          arguments = count;
          co = target_;
          continue;
        }
        case request::yield:
        case request::none: {  // none: a C library called lua_yield itself.
          coroutine* parent = co->parent;
          if (co->kind == coroutine_kind::user && parent != nullptr) {
            const int count = lua_gettop(co->state);
            lua_checkstack(parent->state, count + 1);
            lua_pushboolean(parent->state, 1);
            lua_xmove(co->state, parent->state, count);
            suspend(*co);
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
          arguments = std::exchange(target_->pending_arguments, 0);
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
  coroutine* parent = co.parent;
  const bool awaited = parent != nullptr && parent->status == coroutine_state::waiting &&
                       parent->waits_for_any && co.awaited_by == parent->wait_number;
  if (!awaited) {
    // Its results stay on its stack for as long as somebody has it.
    leave_mark(co, {ok ? coroutine_mark::ended : coroutine_mark::broke, co.parent_id, id_});
    return pick(arguments);
  }
  parent->waits_for_any = false;
  lua_checkstack(parent->state, results + 1);
  lua_pushboolean(parent->state, ok ? 1 : 0);
  lua_xmove(co.state, parent->state, results);
  release(co, false);
  arguments = results + 1;
  return parent;
}

void script::describe_error(coroutine& co) {
  // Some errors are no strings: ngx_lua calls those "unknown reason".
  const char* text = lua_tostring(co.state, -1);
  error_message_ = text != nullptr ? std::string(text, lua_objlen(co.state, -1)) : "unknown reason";
  if (machine_.memory().has_refused() &&
      error_message_.find("not enough memory") != std::string::npos) {
    error_message_ += ": " + machine_.memory().describe();
  }
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

// What a coroutine that is killed had resumed ends with it.
void script::release_resumed(coroutine& co) noexcept {
  while (co.dependents > 0) {
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

bool script::run_abort_handler() {
  if (entry_ == nullptr || abort_handler_ == nullptr) return false;
  coroutine* co = std::exchange(abort_handler_, nullptr);
  ++live_threads_;
  run(co, 0);
  return true;
}

coroutine& script::add(lua_State* state, coroutine_kind kind, std::uint64_t id) {
  coroutines_.push_back(machine_.take_record());
  coroutine& co = *coroutines_.back();
  co.place = coroutines_.size() - 1;
  co.state = state;
  co.kind = kind;
  co.owner = this;
  co.id = id;
  lua_setexdata2(state, &co);
  return co;
}

coroutine& script::add_thread(lua_State* state) {
  lua_State* made = lua_newthread(state);
  lua_pushvalue(state, -1);
  const int reference = luaL_ref(state, LUA_REGISTRYINDEX);
  coroutine& co = add(made, coroutine_kind::thread, machine_.next_id());
  co.anchor = reference;
  return co;
}

void script::set_parent(coroutine& co, coroutine* parent) noexcept {
  coroutine* before = std::exchange(co.parent, parent);
  if (parent != nullptr) ++parent->dependents;
  if (before == nullptr || --before->dependents > 0) return;
  // One that was kept for its light threads only.
  if (before->kind == coroutine_kind::user && before->status == coroutine_state::suspended) {
    suspend(*before);
  }
}

// Without an entry on a resumer's stack the collector would take it while it waits.
void script::anchor(coroutine& co) {
  if (co.anchor != LUA_NOREF) return;
  lua_checkstack(co.state, 2);
  lua_pushthread(co.state);
  co.anchor = luaL_ref(co.state, LUA_REGISTRYINDEX);
}

void script::suspend(coroutine& co) noexcept {
  co.status = coroutine_state::suspended;
  set_parent(co, nullptr);
  if (co.dependents > 0) return anchor(co);
  leave_mark(co, {co.is_wrapped ? coroutine_mark::suspended_wrapped : coroutine_mark::suspended, co.id,
                  id_});
}

void script::leave_mark(coroutine& co, coroutine_mark mark) noexcept {
  mark.set(co.state);
  remove(co);
}

void script::remove(coroutine& co) noexcept {
  // Those that it had resumed or spawned have lost their parent.
  for (std::size_t i = 0; co.dependents > 0 && i < coroutines_.size(); ++i) {
    coroutine& other = *coroutines_[i];
    if (other.parent != &co) continue;
    set_parent(other, nullptr);
    if (other.kind == coroutine_kind::user) anchor(other);
  }
  if (co.anchor != LUA_NOREF) luaL_unref(machine_.state(), LUA_REGISTRYINDEX, co.anchor);
  coroutine* parent = co.parent;
  const std::size_t place = co.place;
  std::unique_ptr<coroutine> record = std::move(coroutines_[place]);
  if (place + 1 < coroutines_.size()) {
    coroutines_[place] = std::move(coroutines_.back());
    coroutines_[place]->place = place;
  }
  coroutines_.pop_back();
  if (parent != nullptr) set_parent(*record, nullptr);
  machine_.give_back(std::move(record));
}

void script::release(coroutine& co, bool reusable) noexcept {
  const memory_cap::scope free(machine_.memory(), false);
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
  co.status = coroutine_state::dead;
  leave_mark(co, {});
}

int& script::slice_errors() noexcept {
  return exchange_ != nullptr ? exchange_->slice_errors : slice_errors_;
}

void script::condemn(std::string message, std::string error) {
  is_condemned_ = true;
  error_message_ = std::move(message);
  error_ = std::move(error);
}

script::progress script::conclude(progress p) noexcept {
  const memory_cap::scope free(machine_.memory(), false);
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
