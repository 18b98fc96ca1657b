// SPDX-License-Identifier: Apache-2.0
//
// A script: one run of Lua code with all its coroutines. It starts with the entry coroutine of a
// phase's handler and ends when that and all its light threads have ended, or when one of them ends
// the exchange. In between it waits: a coroutine that has to wait registers with the host (an
// actor), yields to the script, and is resumed when the host is told.
//
// Scheduling is flat: coroutine.resume and coroutine.yield of the user's code also go through
// here, so that a wait at any depth of coroutines suspends the whole light thread and no C stack is
// held.
//
// Source   "ngx.thread.spawn" and "Light threads" of ngx_lua's README; Lua 5.1 manual section 5.2.
// Thread   the host's: a shard's, or the loader's.
// Errors   an uncaught error ends the script; its text and traceback are in error().
// Called   by actors/stages/lua_stage, actors/exchange_actor (filters), runtime/loader (init).
#pragma once

#include <lua.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lua/coroutine.hpp"
#include "lua/phase.hpp"
#include "lua/wait_table.hpp"
#include "net/belongings.hpp"

namespace troupe::net {
class event_loop;
struct client_services;
struct location_settings;
class exchange;
class log_context;
}  // namespace troupe::net

namespace troupe::lua {

struct timer_origin;
class post_office;
class vm;

/// What a script needs of the actor that runs it.
class script_host {
public:
  virtual ~script_host() = default;
  /// Tells the host, by a message to itself, that the wait is over. The host's handler then calls
  /// deliver(). Same thread.
  virtual void wake(wait_token token) noexcept = 0;
  [[nodiscard]] virtual net::event_loop& loop() noexcept = 0;
  [[nodiscard]] virtual net::client_services& services() noexcept = 0;
  /// Null: nobody has an address here.
  [[nodiscard]] virtual post_office* mail() noexcept { return nullptr; }
  /// Whose mailbox troupe.self() of this script means.
  [[nodiscard]] virtual net::belongings& mail_owner(script& running) noexcept;

  /// Resumes whoever waits under the token. Returns its script, or null if nobody does any more.
  script* deliver(wait_token token);

  wait_table waits;
};

class script {
public:
  enum class progress {
    waiting,  ///< Some coroutine waits; the host will deliver.
    done,     ///< All ended well.
    failed,   ///< The entry coroutine ended with an error.
    stopped,  ///< A coroutine ended the exchange (exit, exec, redirect, set_uri jump).
  };

  script(vm& machine, script_host& host);
  ~script();
  script(const script&) = delete;
  script& operator=(const script&) = delete;

  /// Runs a chunk of the VM (vm::compile gave its id) as the entry coroutine.
  /// @param x     null where there is no exchange.
  progress start(int chunk, phase where, net::exchange* x, const net::log_context& log);
  /// The same with the function and its `arguments` on top of `from`'s stack; they are popped.
  progress start(lua_State* from, int arguments, phase where, net::exchange* x,
                 const net::log_context& log);
  /// The same with an entry of the VM on whose stack they lie already.
  progress start(coroutine& entry, int arguments, phase where, net::exchange* x,
                 const net::log_context& log);

  /// Ends all coroutines and cancels what they wait for.
  void kill() noexcept;

  [[nodiscard]] progress state() const noexcept { return progress_; }
  [[nodiscard]] bool is_running() const noexcept { return entry_ != nullptr; }
  [[nodiscard]] phase where() const noexcept { return phase_; }
  /// Message and traceback of the error that ended it.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  /// The message alone; "unknown reason" if it was no string.
  [[nodiscard]] const std::string& error_message() const noexcept { return error_message_; }
  /// Values that the entry coroutine returned, on its stack, until the next start.
  [[nodiscard]] lua_State* results() const noexcept { return results_; }
  [[nodiscard]] int result_count() const noexcept { return result_count_; }

  [[nodiscard]] vm& machine() noexcept { return machine_; }
  [[nodiscard]] script_host& host() noexcept { return host_; }
  [[nodiscard]] net::exchange* exchange() const noexcept { return exchange_; }
  /// Where its ngx.ctx lies in the VM's array, 0: nowhere yet. The exchange's, or its own.
  [[nodiscard]] int& ctx_slot() noexcept;
  /// Of the location whose code it is, or whose code made its timer.
  [[nodiscard]] const net::location_settings& settings() const noexcept;
  /// Sockets that its code makes: the exchange's, or its own where there is none.
  [[nodiscard]] net::belongings& belongings() noexcept;
  [[nodiscard]] const net::log_context& log() const noexcept { return *log_; }

  /// ngx.exit's code, while stopped().
  int exit_code = 0;
  bool exited = false;  ///< Stopped by ngx.exit, not by exec or redirect.
  const timer_origin* origin = nullptr;  ///< Of a timer's callback, for the timers that it makes.

  // --- For functions of the API, called from inside a coroutine ---------------------------------

  /// The record of the coroutine that runs on `state`; null outside any script.
  static coroutine* of(lua_State* state) noexcept {
    void* found = lua_getexdata2(state);
    const bool is_mark = (reinterpret_cast<std::uintptr_t>(found) & coroutine_mark::mask) != 0;
    return is_mark ? nullptr : static_cast<coroutine*>(found);
  }
  /// Makes the running coroutine wait. Use as `return script::wait(L, …)`; raises if a C function
  /// stands in the way, after calling `cancel`.
  static int wait(lua_State* state, void* operation, int (*finish)(lua_State*, void*),
                  void (*cancel)(void*) noexcept);
  /// The first half of wait(): registers it and gives the token; lua_yield(L, 0) must follow.
  static wait_token begin_wait(lua_State* state, void* operation,
                               int (*finish)(lua_State*, void*), void (*cancel)(void*) noexcept);
  /// Ends the whole script. Use as `return script::stop(L)`.
  static int stop(lua_State* state);
  /// Raises what every wait raises where none is possible: the C function in the way is named.
  static int refuse_wait(lua_State* state);
  /// Keeps the traceback of the error on top of the coroutine's stack, which is about to be raised
  /// again where it does not show any more.
  static void remember_error(coroutine& co) { co.owner->remember_wrapped(co); }
  /// Like wait(), for a time only.
  static int sleep(lua_State* state, std::int64_t ms);

  /// Functions of `coroutine` and `ngx.thread`; see lua/api/coroutine.cpp.
  /// The thread lies below its arguments on the stack, where it stays as long as it runs.
  static int resume_child(lua_State* state, coroutine& child, int arguments);
  static int yield_to_parent(lua_State* state);
  /// Makes a coroutine of the function on top of the stack and pushes it in its place.
  void create(lua_State* state, bool is_wrapped);
  /// Gives a suspended coroutine of the user a record, for as long as it runs.
  coroutine& activate(lua_State* target);
  /// Its record ends: it has yielded, or ended.
  void suspend(coroutine& co) noexcept;
  void release(coroutine& co, bool reusable) noexcept;
  static int spawn(lua_State* state);
  static int wait_thread(lua_State* state);
  static int kill_thread(lua_State* state, coroutine& child);
  /// Keeps the function on top of the stack for run_abort_handler(). False: there is one already.
  static bool set_abort_handler(lua_State* state);

  /// The client has gone: runs what ngx.on_abort gave, as a light thread. False: nothing was given,
  /// and the script goes on as it was.
  bool run_abort_handler();

  // --- lua_max_slice ----------------------------------------------------------------------------
  /// How often an error was raised in this exchange.
  [[nodiscard]] int& slice_errors() noexcept;
  /// It went on too often: it ends as by an uncaught error, whatever it catches.
  void condemn(std::string message, std::string error);
  [[nodiscard]] bool is_condemned() const noexcept { return is_condemned_; }
  /// Of this run, unique in the VM.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

private:
  friend class script_host;
  enum class request { none, wait, stop, resume, yield, spawn, wait_thread };

  progress run(coroutine* next, int arguments);
  progress go_on(coroutine* next, int arguments);
  /// False: Lua raised an error in it, and the script has failed.
  template <class Work>
  bool guard(Work work);
  coroutine* pick(int& arguments);
  coroutine* ended(coroutine& co, int results, int& arguments);
  coroutine* broke(coroutine& co, int status, int& arguments);
  coroutine* thread_ended(coroutine& co, bool ok, int results, int& arguments);
  bool finished() const noexcept;
  void describe_error(coroutine& co);
  void remember_wrapped(coroutine& co);
  void register_wait(coroutine& co) noexcept;
  coroutine& add(lua_State* state, coroutine_kind kind, std::uint64_t id);
  coroutine& add_thread(lua_State* state);
  void set_parent(coroutine& co, coroutine* parent) noexcept;
  void remove(coroutine& co) noexcept;
  void leave_mark(coroutine& co, coroutine_mark mark) noexcept;
  static void anchor(coroutine& co);
  void release_resumed(coroutine& co) noexcept;
  progress conclude(progress p) noexcept;

  vm& machine_;
  script_host& host_;
  net::exchange* exchange_ = nullptr;
  const net::log_context* log_ = nullptr;
  phase phase_ = phase::none;
  progress progress_ = progress::done;
  request request_ = request::none;
  coroutine* target_ = nullptr;
  coroutine* entry_ = nullptr;
  coroutine* abort_handler_ = nullptr;  ///< Suspended until the client goes.
  bool entry_done_ = false;
  lua_State* results_ = nullptr;
  int result_count_ = 0;
  std::size_t live_threads_ = 0;
  std::uint64_t id_ = 0;
  std::vector<std::unique_ptr<coroutine>> coroutines_;  ///< Those under way, but for the entry.
  std::vector<coroutine*> ready_;  ///< First in, first out; nearly always of length 0 to 2.
  std::string error_;
  std::string error_message_;
  std::string wrapped_message_;  ///< Of the last coroutine.wrap that failed, and with its traceback.
  std::string wrapped_error_;
  net::belongings belongings_;
  int ctx_slot_ = 0;
  int slice_errors_ = 0;  ///< Where there is no exchange.
  bool is_condemned_ = false;
};

}  // namespace troupe::lua
