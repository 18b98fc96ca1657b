// SPDX-License-Identifier: Apache-2.0
//
// Threads for Lua code that blocks: `thread_pool NAME threads=N` and ngx.run_worker_thread. A thread
// has a VM of its own; arguments and results are copied from one to the other.
//
// Source   "ngx.run_worker_thread" of ngx_lua's README; thread_pool of ngx_core_module.
// Thread   run(): any; jobs run on the pool's threads, whose names are POOL-worker.
// Errors   ngx_lua's words, in the job.
// Memory   threads start when there is work and stay until the node ends.
// Called   by lua/api/worker_thread.cpp; owned by runtime/node.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <tl/expected.hpp>

struct lua_State;

namespace troupe::lua {

class vm;

struct thread_pool_definition {
  std::string name;
  std::size_t threads = 32;
  std::size_t most_waiting = 65536;
};

/// A Lua value on its way between VMs.
struct carried_value {
  struct null {};  ///< ngx.null
  using table = std::vector<std::pair<carried_value, carried_value>>;
  std::variant<std::monostate, bool, double, std::string, null, table> content;

  /// Copies the value at `index`. The error: "unsupported Lua type: LUA_TFUNCTION" …
  static tl::expected<carried_value, std::string> take(lua_State* from, int index, int depth = 0);
  void push(lua_State* to) const;
};

/// Makes the VM of a release for a thread.
using vm_factory = std::function<tl::expected<std::unique_ptr<vm>, std::string>()>;

/// A call of a module's function.
struct thread_job {
  std::shared_ptr<const vm_factory> factory;
  std::string module;
  std::string function;
  std::vector<carried_value> arguments;

  std::vector<carried_value> results;
  std::string error;  ///< Empty: it went well.
};

class thread_pool {
public:
  explicit thread_pool(thread_pool_definition definition) : definition_(std::move(definition)) {}
  ~thread_pool() { stop(); }

  /// Runs the job; then `done` is called on the pool's thread. False: too many wait.
  bool run(std::shared_ptr<thread_job> job, std::function<void()> done);
  /// Waits for the jobs under way; drops those that have not begun.
  void stop();

  [[nodiscard]] const thread_pool_definition& definition() const noexcept { return definition_; }

private:
  struct queued {
    std::shared_ptr<thread_job> job;
    std::function<void()> done;
  };
  void work();

  thread_pool_definition definition_;
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<queued> queue_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

/// The pools of a node: they outlive releases.
class thread_pools {
public:
  /// The pool of that name; made anew if its definition has changed. Thread: any.
  thread_pool& get(const thread_pool_definition& definition);
  void stop();

private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<thread_pool>> all_;
};

/// What the VMs of a release know of them.
struct worker_threads {
  thread_pools* pools = nullptr;
  std::vector<thread_pool_definition> definitions;
  std::shared_ptr<const vm_factory> factory;
};

}  // namespace troupe::lua
