// SPDX-License-Identifier: Apache-2.0
//
// ngx.run_worker_thread: a function of a module runs on a thread of a pool while the caller waits.
//
// Source   the section of this name in ngx_lua's README.
// Thread   that of the VM.
#include <cstddef>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/thread_pool.hpp"
#include "lua/vm.hpp"
#include "net/event_loop.hpp"

namespace troupe::lua {
namespace {

// The wait of one call. It is told of the end by a task of its own loop, so that only this thread
// looks at `host`.
struct call {
  std::shared_ptr<thread_job> job;
  script_host* host = nullptr;  ///< Null: nobody waits any more.
  wait_token token = wait_token::none;
};
using call_ref = std::shared_ptr<call>;

int fail(lua_State* state, const std::string& text) {
  lua_pushboolean(state, 0);
  lua_pushlstring(state, text.data(), text.size());
  return 2;
}

int finish(lua_State* state, void* operation) {
  const std::unique_ptr<call_ref> waited(static_cast<call_ref*>(operation));
  const thread_job& job = *(*waited)->job;
  if (!job.error.empty()) return fail(state, job.error);
  const auto count = static_cast<int>(job.results.size());
  lua_checkstack(state, count + 1);
  lua_pushboolean(state, 1);
  for (const carried_value& value : job.results) value.push(state);
  return count + 1;
}

void cancel(void* operation) noexcept {
  const std::unique_ptr<call_ref> waited(static_cast<call_ref*>(operation));
  (*waited)->host = nullptr;
}

// run(pool, module, function, …)
int run(lua_State* state) {
  const int count = lua_gettop(state);
  if (count < 3) return fail(state, "expecting at least 3 arguments");
  static constexpr const char* wrong[] = {"threadpool should be a string",
                                          "module name should be a string",
                                          "function name should be a string"};
  for (int i = 1; i <= 3; ++i) {
    if (lua_type(state, i) != LUA_TSTRING) return fail(state, wrong[i - 1]);
  }
  if (current.running == nullptr || script::of(state) == nullptr) {
    return luaL_error(state, "no request found");
  }
  const std::string name = lua_tostring(state, 1);
  const auto& threads = current.machine->options().threads;
  const thread_pool_definition* found = nullptr;
  if (threads) {
    for (const auto& one : threads->definitions) {
      if (one.name == name && found == nullptr) found = &one;
    }
  }
  if (found == nullptr) return fail(state, "thread pool " + name + " not found");
  auto job = std::make_shared<thread_job>();
  job->factory = threads->factory;
  job->module = lua_tostring(state, 2);
  job->function = lua_tostring(state, 3);
  for (int i = 4; i <= count; ++i) {
    auto value = carried_value::take(state, i);
    if (!value) return fail(state, value.error() + " in the argument");
    job->arguments.push_back(std::move(*value));
  }
  auto waits = std::make_shared<call>();
  waits->job = job;
  waits->host = &current.running->host();
  waits->token = script::begin_wait(state, new call_ref(waits), finish, cancel);
  net::event_loop& loop = waits->host->loop();
  const bool begun = threads->pools->get(*found).run(job, [&loop, waits] {
    loop.post([waits] {
      if (waits->host != nullptr) waits->host->wake(waits->token);
    });
  });
  if (!begun) {
    job->error = "thread pool " + name + " overflow: too many tasks wait";
    waits->host->wake(waits->token);
  }
  return lua_yield(state, 0);
}

constexpr luaL_Reg functions[] = {{"run", run}, {nullptr, nullptr}};

}  // namespace

const api_area worker_thread_area{
    .name = "worker_thread",
    .cdef = {},
    .table = nullptr,
    .source = "local _, ngx, native = ...\nngx.run_worker_thread = native.run\n",
    .functions = functions};

}  // namespace troupe::lua
