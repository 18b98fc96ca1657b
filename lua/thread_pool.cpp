// SPDX-License-Identifier: Apache-2.0
#include "lua/thread_pool.hpp"

#include <lua.hpp>
#include <pthread.h>

#include "lua/current.hpp"
#include "lua/vm.hpp"
#include "net/cached_clock.hpp"

namespace troupe::lua {
namespace {

constexpr int deepest_table = 100;

const char* type_constant(int type) {
  switch (type) {
    case LUA_TFUNCTION: return "LUA_TFUNCTION";
    case LUA_TUSERDATA: return "LUA_TUSERDATA";
    case LUA_TTHREAD: return "LUA_TTHREAD";
    case LUA_TLIGHTUSERDATA: return "LUA_TLIGHTUSERDATA";
    default: return "LUA_TCDATA";
  }
}

std::string error_text(lua_State* state) {
  const char* text = lua_tostring(state, -1);
  return text != nullptr ? text : "unknown error";
}

// Leaves the stack as it finds it.
void call(thread_job& job, vm& machine) {
  lua_State* state = machine.state();
  const int top = lua_gettop(state);
  struct restore {
    lua_State* state;
    int top;
    ~restore() { lua_settop(state, top); }
  } const at_end{state, top};
  lua_getglobal(state, "require");
  lua_pushlstring(state, job.module.data(), job.module.size());
  const auto run = [&](int arguments, int results) {
    const memory_cap::scope held(machine.memory(), true);
    return lua_pcall(state, arguments, results, 0) == 0;
  };
  if (!run(1, 1)) {
    job.error = error_text(state);
    return;
  }
  if (!lua_istable(state, -1)) {
    job.error = "module " + job.module + " should return a table";
    return;
  }
  // The table may have a metatable, whose code may raise: nobody above catches that.
  lua_pushcfunction(state, [](lua_State* inside) {
    lua_gettable(inside, 1);
    return 1;
  });
  lua_insert(state, -2);
  lua_pushlstring(state, job.function.data(), job.function.size());
  if (!run(2, 1)) {
    job.error = error_text(state);
    return;
  }
  if (!lua_isfunction(state, -1)) {
    job.error = "module " + job.module + " has no function " + job.function;
    return;
  }
  const int before = lua_gettop(state) - 1;
  if (lua_checkstack(state, static_cast<int>(job.arguments.size()) + 8) == 0) {
    job.error = "too many arguments";
    return;
  }
  for (const carried_value& argument : job.arguments) argument.push(state);
  if (!run(static_cast<int>(job.arguments.size()), LUA_MULTRET)) {
    job.error = error_text(state);
    return;
  }
  for (int i = before + 1; i <= lua_gettop(state); ++i) {
    auto value = carried_value::take(state, i);
    if (!value) {
      job.results.clear();
      job.error = value.error() + " in the return value";
      return;
    }
    job.results.push_back(std::move(*value));
  }
}

}  // namespace

tl::expected<carried_value, std::string> carried_value::take(lua_State* from, int index, int depth) {
  switch (lua_type(from, index)) {
    case LUA_TNIL: return carried_value{};
    case LUA_TBOOLEAN: return carried_value{lua_toboolean(from, index) != 0};
    case LUA_TNUMBER: return carried_value{lua_tonumber(from, index)};
    case LUA_TSTRING: {
      std::size_t size = 0;
      const char* text = lua_tolstring(from, index, &size);
      return carried_value{std::string(text, size)};
    }
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(from, index) == nullptr) return carried_value{null{}};
      break;
    case LUA_TTABLE: {
      if (depth >= deepest_table || lua_checkstack(from, 4) == 0) {
        return tl::unexpected("suspicious circular references, table depth exceed max depth: " +
                              std::to_string(deepest_table));
      }
      table all;
      const int at = index > 0 ? index : lua_gettop(from) + index + 1;
      lua_pushnil(from);
      while (lua_next(from, at) != 0) {
        auto key = take(from, lua_gettop(from) - 1, depth + 1);
        auto value = take(from, lua_gettop(from), depth + 1);
        if (!key || !value) {
          lua_pop(from, 2);
          return tl::unexpected(!key ? key.error() : value.error());
        }
        all.emplace_back(std::move(*key), std::move(*value));
        lua_pop(from, 1);
      }
      return carried_value{std::move(all)};
    }
    default: break;
  }
  return tl::unexpected(std::string("unsupported Lua type: ") + type_constant(lua_type(from, index)));
}

void carried_value::push(lua_State* to) const {
  if (const auto* flag = std::get_if<bool>(&content)) {
    lua_pushboolean(to, *flag ? 1 : 0);
  } else if (const auto* number = std::get_if<double>(&content)) {
    lua_pushnumber(to, *number);
  } else if (const auto* text = std::get_if<std::string>(&content)) {
    lua_pushlstring(to, text->data(), text->size());
  } else if (std::holds_alternative<null>(content)) {
    lua_pushlightuserdata(to, nullptr);
  } else if (const auto* all = std::get_if<table>(&content)) {
    lua_checkstack(to, 4);
    lua_createtable(to, 0, static_cast<int>(all->size()));
    for (const auto& [key, value] : *all) {
      key.push(to);
      value.push(to);
      lua_rawset(to, -3);
    }
  } else {
    lua_pushnil(to);
  }
}

bool thread_pool::run(std::shared_ptr<thread_job> job, std::function<void()> done) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || queue_.size() >= definition_.most_waiting) return false;
  queue_.push_back({std::move(job), std::move(done)});
  if (idle_ < queue_.size() && threads_.size() < definition_.threads) {
    threads_.emplace_back([this] { work(); });
  } else {
    more_.notify_one();
  }
  return true;
}

void thread_pool::work() {
  pthread_setname_np(pthread_self(), (definition_.name.substr(0, 8) + "-worker").c_str());
  std::shared_ptr<const vm_factory> factory;
  std::unique_ptr<vm> machine;
  net::cached_clock clock;
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    more_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (stopping_) return;
    queued next = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    thread_job& job = *next.job;
    if (machine == nullptr || factory != job.factory) {  // A new release.
      machine.reset();
      factory = job.factory;
      if (auto made = (*factory)()) machine = std::move(*made);
      else job.error = made.error();
    }
    if (machine != nullptr) {
      clock.update();
      if (machine->memory().is_due()) machine->collect();
      current = {.machine = machine.get(), .log = machine->options().log, .clock = &clock};
      call(job, *machine);
      current = {};
    }
    next.done();
    next = {};
    lock.lock();
  }
}

void thread_pool::stop() {
  std::vector<std::thread> ending;
  std::deque<queued> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ending.swap(threads_);
    dropped.swap(queue_);
  }
  more_.notify_all();
  for (std::thread& one : ending) one.join();
}

thread_pool& thread_pools::get(const thread_pool_definition& definition) {
  const std::lock_guard lock(mutex_);
  for (auto& pool : all_) {
    const thread_pool_definition& known = pool->definition();
    if (known.name == definition.name && known.threads == definition.threads &&
        known.most_waiting == definition.most_waiting) {
      return *pool;
    }
  }
  return *all_.emplace_back(std::make_unique<thread_pool>(definition));
}

void thread_pools::stop() {
  const std::lock_guard lock(mutex_);
  for (auto& pool : all_) pool->stop();
}

}  // namespace troupe::lua
