// SPDX-License-Identifier: Apache-2.0
//
// One LuaJIT VM: the one of a shard and release, with the API installed and the chunks of the
// configuration compiled.
//
// Source   Lua 5.1 reference manual; lua_package_path and lua_code_cache of ngx_lua.
// Thread   built on the loader's thread, then used by its shard's alone.
// Memory   coroutines of handlers are pooled, so that a steady state makes no Lua threads.
// Errors   Lua's own texts, with chunk names `content_by_lua(nginx.conf:12)`.
#pragma once

#include <lua.hpp>

#include <functional>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <unordered_map>
#include <vector>

#include "lua/change_watch.hpp"
#include "lua/environment.hpp"
#include "lua/interrupt.hpp"
#include "lua/memory_cap.hpp"
#include "lua/phase.hpp"

namespace troupe::net {
class live_cluster;
class live_config;
struct location_settings;
class log_context;
class variable_table;
}

namespace troupe::lua {

class actor_runner;
struct coroutine;
class shared_dict;
struct slice;
class timer_set;
struct worker_threads;

/// A script of the configuration.
struct chunk_source {
  int id = 0;                ///< Index in the VM, the same in all VMs of a release.
  phase where = phase::none;
  std::string chunk_name;    ///< "=content_by_lua(nginx.conf:12)"; "@path" for files.
  std::string text;          ///< Empty for files.
  std::string path;          ///< Absolute; empty for inlined code.
  std::string file;          ///< Of the directive, for messages.
  int line = 0;
};

struct vm_options {
  std::string prefix;                 ///< Of the app, with final slash.
  std::string code_prefix;            ///< Where its Lua modules are; empty: `prefix`.
  std::string package_path;           ///< As configured; `;;` is the default path. "" for default.
  std::string package_cpath;
  lua::environment environment;
  std::vector<std::pair<std::string, shared_dict*>> shared_dicts;
  const net::live_config* config = nullptr;  ///< Of the node, outlives the VM; null: none.
  std::shared_ptr<net::live_cluster> cluster;  ///< Null: the node is in none.
  const net::variable_table* variables = nullptr;  ///< Of the release; outlives the VM.
  int regex_cache_entries = 1024;
  int regex_match_limit = 0;
  std::shared_ptr<const worker_threads> threads;  ///< Null: none.
  std::int64_t max_slice_ms = 0;  ///< 0: any.
  bool max_slice_kills = false;
  std::size_t max_memory = 0;  ///< In bytes; 0: any.
  int most_pending_timers = 1024;
  int most_running_timers = 256;
  bool is_single_process = false;  ///< master_process off.
  std::function<void()> leave;     ///< Stops the node gracefully; empty: nothing does.
  int shard = 0;
  int shards = 1;
  // For code that runs without an exchange.
  const net::log_context* log = nullptr;
  const net::location_settings* settings = nullptr;  ///< Null: the standard ones.
};

class vm {
public:
  /// @param prepared  a VM to make it of; null: a new one.
  static tl::expected<std::unique_ptr<vm>, std::string> create(vm_options options,
                                                               std::unique_ptr<vm> prepared = nullptr);
  /// With the API in it, which is most of the work, and nothing of an app: for create() alone.
  static tl::expected<std::unique_ptr<vm>, std::string> prepare();
  ~vm();
  vm(const vm&) = delete;
  vm& operator=(const vm&) = delete;

  /// Compiles a chunk under its id. The error is Lua's text.
  tl::expected<void, std::string> compile(const chunk_source& source);
  /// Compiles a file whose path is known only when it is needed; cached by path.
  tl::expected<int, std::string> compile_file(const std::string& path, bool cached);
  void push_chunk(lua_State* to, int id) const;

  /// From here on new globals are warned about, and modules are those of requests (after init and
  /// init_worker).
  void guard_globals();
  /// lua_code_cache off: modules that were loaded since then are loaded anew by the next require, and
  /// globals that were made since then go.
  void forget_modules();

  /// How far it is from its end.
  enum class standing : std::uint8_t {
    serving,
    retired,  ///< Another release serves: what is under way may end in its own time.
    asked,    ///< It should end soon.
    ending,   ///< The shard stops, or nobody uses it any more.
  };
  [[nodiscard]] standing where() const noexcept { return standing_; }
  void stand(standing now) noexcept;
  /// No new timers, and those there are run prematurely.
  [[nodiscard]] bool is_exiting() const noexcept { return standing_ != standing::serving; }

  [[nodiscard]] lua_State* state() const noexcept { return state_; }
  /// Counts its runs there. Thread: the VM's.
  void watch(slice& counter) noexcept { watched_ = &counter; }
  void unwatch() noexcept { watched_ = nullptr; }
  [[nodiscard]] slice* watched() const noexcept { return watched_; }
  [[nodiscard]] interrupt& interrupts() noexcept { return interrupts_; }
  [[nodiscard]] memory_cap& memory() noexcept { return memory_; }
  /// Collects all, outside of Lua code.
  void collect() noexcept;
  /// The error of a VM that has more than lua_max_memory allows, garbage apart; empty: it has not.
  [[nodiscard]] std::string memory_error();
  [[nodiscard]] timer_set& timers() noexcept { return *timers_; }
  [[nodiscard]] change_watch& config_waiters() noexcept { return config_waiters_; }
  [[nodiscard]] change_watch& cluster_waiters() noexcept { return cluster_waiters_; }
  [[nodiscard]] const vm_options& options() const noexcept { return options_; }

  /// Makes the actors of troupe.spawn; null: none can be made here.
  actor_runner* actors = nullptr;

  // --- For lua/script ---------------------------------------------------------------------------
  coroutine& acquire_entry();
  void release_entry(coroutine& co, bool reusable) noexcept;
  [[nodiscard]] std::uint64_t next_id() noexcept { return ++last_id_; }
  /// Records of coroutines that are under way, as new.
  std::unique_ptr<coroutine> take_record();
  void give_back(std::unique_ptr<coroutine> record) noexcept;

  // --- ngx.ctx: the tables lie in one Lua array, so that reading one is no C call ----------------
  int new_ctx_slot();
  void release_ctx(int slot) noexcept;
  void push_ctx_tables(lua_State* to) const;
  [[nodiscard]] std::size_t ctx_count() const noexcept { return ctx_next_ - ctx_free_.size(); }

private:
  vm();
  std::string open();
  std::string settle(vm_options options);

  vm_options options_;
  lua_State* state_ = nullptr;
  std::unique_ptr<timer_set> timers_;
  change_watch config_waiters_;
  change_watch cluster_waiters_;
  slice* watched_ = nullptr;
  interrupt interrupts_;
  memory_cap memory_;
  std::uint64_t last_id_ = 0;
  standing standing_ = standing::serving;
  std::vector<int> chunks_;                        ///< Registry references by id.
  std::unordered_map<std::string, int> files_;     ///< Path -> id.
  int next_file_id_ = 1 << 20;
  std::unordered_map<int, int> file_chunks_;
  std::vector<std::unique_ptr<coroutine>> entries_;
  std::vector<coroutine*> idle_entries_;
  std::vector<std::unique_ptr<coroutine>> spare_records_;
  int ctx_tables_ = LUA_NOREF;
  int keep_names();
  void drop_other_names(int kept);
  int kept_modules_ = LUA_NOREF;  ///< A set of the names in package.loaded that stay.
  int kept_globals_ = LUA_NOREF;  ///< And of those in _G.
  std::size_t ctx_next_ = 0;
  std::vector<int> ctx_free_;
};

}  // namespace troupe::lua
