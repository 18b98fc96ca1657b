// SPDX-License-Identifier: Apache-2.0
#include "runtime/machine_builder.hpp"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>

#include "lua/shared_dict.hpp"
#include "net/thread_priority.hpp"
#include "runtime/descriptors.hpp"
#include "runtime/environment.hpp"
#include "runtime/init_run.hpp"
#include "runtime/system_hint.hpp"

namespace troupe {
namespace {

lua::vm_options machine_options(const actors::site& site, unsigned shard, unsigned shards) {
  lua::vm_options options;
  options.prefix = site.prefix;
  options.code_prefix = site.code_prefix;
  options.environment = environment_of(site.environment);
  options.package_path = site.package_path;
  options.package_cpath = site.package_cpath;
  options.variables = &site.variables;
  options.regex_cache_entries = site.regex_cache_entries;
  options.regex_match_limit = site.regex_match_limit;
  options.max_slice_ms = site.max_slice_ms;
  options.max_slice_kills = site.max_slice_kills;
  options.max_memory = site.max_memory;
  options.most_pending_timers = site.most_pending_timers;
  options.most_running_timers = site.most_running_timers;
  options.is_single_process = site.is_single_process;
  options.shard = static_cast<int>(shard);
  options.shards = static_cast<int>(shards);
  options.log = site.error_log.get();
  options.settings = &site.http;
  options.config = site.http.config;
  options.cluster = site.cluster;
  for (const auto& dict : site.kept_dicts) options.shared_dicts.emplace_back(dict->name(), dict.get());
  return options;
}

// What a VM cannot be made with is the memory that it may have.
diagnostic machine_problem(const actors::site& site, const std::string& error) {
  return {site.max_memory_file, static_cast<unsigned>(site.max_memory_line), error, {}};
}

bool runs_at_start(lua::phase where) {
  return where == lua::phase::init || where == lua::phase::init_worker;
}

// "init_by_lua error: ", "init_worker_by_lua_file error: "
std::string start_error(const lua::chunk_source& chunk) {
  return std::string(lua::name(chunk.where)) + (chunk.path.empty() ? "_by_lua" : "_by_lua_file") +
         " error: ";
}

// How many characters of "PATH:3: text" are the path, of which Lua shows only the end when it is
// long: "...h/a.lua:3: text". 0: it does not begin with it.
std::size_t path_in_front(std::string_view error, std::string_view path) {
  if (error.starts_with(path)) return error.substr(path.size()).starts_with(':') ? path.size() : 0;
  constexpr std::string_view cut = "...";
  if (!error.starts_with(cut)) return 0;
  const std::size_t name = path.size() - (path.find_last_of('/') + 1);
  for (std::size_t rest = path.size(); rest >= std::max<std::size_t>(name, 1); --rest) {
    const std::string_view shown = error.substr(cut.size());
    if (shown.starts_with(path.substr(path.size() - rest)) && shown.substr(rest).starts_with(':')) {
      return cut.size() + rest;
    }
  }
  return 0;
}

// Lua says `content_by_lua(nginx.conf:12):3: text`; the line in the file follows from it.
diagnostic chunk_problem(const lua::chunk_source& chunk, const std::string& error) {
  diagnostic problem;
  if (!chunk.path.empty()) {
    problem.reason = runs_at_start(chunk.where)
                         ? start_error(chunk) + error
                         : "failed to load external Lua file \"" + chunk.path + "\": " + error;
    problem.file = chunk.file;
    problem.line = static_cast<unsigned>(chunk.line);
    // "PATH:3: text" names the place itself; where it ran at the start, nginx's words have it.
    if (runs_at_start(chunk.where)) return problem;
    if (const std::size_t named = path_in_front(error, chunk.path); named > 0) {
      problem.file = chunk.path;
      problem.line = static_cast<unsigned>(std::atoi(error.c_str() + named + 1));
      const auto colon = error.find(':', named + 1);
      if (colon != std::string::npos) problem.reason = error.substr(std::min(colon + 2, error.size()));
    }
    return problem;
  }
  problem.reason = runs_at_start(chunk.where) ? start_error(chunk) + error
                                              : "failed to load inlined Lua code: " + error;
  problem.file = chunk.file;
  problem.line = static_cast<unsigned>(chunk.line);
  if (const auto at = error.find("):"); at != std::string::npos) {
    const int line = std::atoi(error.c_str() + at + 2);
    if (line > 0) problem.line = static_cast<unsigned>(chunk.line + line - 1);
  }
  return problem;
}

diagnostics compile_all(lua::vm& machine, const actors::site& site) {
  diagnostics problems;
  for (const lua::chunk_source& chunk : site.chunks) {
    if (auto compiled = machine.compile(chunk); !compiled) {
      problems.push_back(chunk_problem(chunk, compiled.error()));
    }
  }
  return problems;
}

/// What the loader threads of a release share.
class building {
 public:
  building(std::shared_ptr<const actors::site> site, std::shared_ptr<lua::worker_threads> threads,
           spare_machines& spare, unsigned shards, std::function<void()> leave)
      : site_(std::move(site)),
        threads_(std::move(threads)),
        spare_(spare),
        leave_(std::move(leave)),
        jobs_(shards) {}

  tl::expected<std::vector<std::unique_ptr<lua::vm>>, diagnostics> run() {
    const auto shards = static_cast<unsigned>(jobs_.size());
    const unsigned count = std::min(shards, std::max(1u, std::thread::hardware_concurrency()));
    std::vector<std::thread> loaders;
    for (unsigned i = 0; i < count; ++i) loaders.emplace_back([this, i] { work(i); });
    watch();
    for (std::thread& each : loaders) each.join();
    std::vector<std::unique_ptr<lua::vm>> machines;
    for (job& each : jobs_) {
      // All of them usually have the same to say; the first one says it.
      if (!each.problems.empty() && !each.was_given_up) return tl::unexpected(std::move(each.problems));
    }
    for (job& each : jobs_) machines.push_back(std::move(each.machine));
    return machines;
  }

 private:
  struct job {
    std::unique_ptr<lua::vm> machine;
    diagnostics problems;
    init_run* running = nullptr;  ///< Under mutex_.
    bool was_given_up = false;
  };

  void work(unsigned loader) {
    pthread_setname_np(pthread_self(), ("load-" + std::to_string(loader)).c_str());
    // What serves goes first: a release that is late by milliseconds disturbs nobody.
    net::lower_thread_priority(10);
    for (;;) {
      unsigned shard = 0;
      {
        const std::lock_guard lock(mutex_);
        if (next_ == jobs_.size() || has_failed_) break;
        shard = next_++;
        ++busy_;
      }
      build(shard);
      const std::lock_guard lock(mutex_);
      --busy_;
      if (!jobs_[shard].problems.empty()) has_failed_ = true;
      changed_.notify_all();
    }
  }

  void build(unsigned shard) {
    job& own = jobs_[shard];
    lua::vm_options options = machine_options(*site_, shard, static_cast<unsigned>(jobs_.size()));
    options.threads = threads_;
    options.leave = leave_;
    auto machine = lua::vm::create(std::move(options), spare_.take());
    if (!machine) {
      own.problems = {machine_problem(*site_, machine.error())};
      return;
    }
    own.machine = std::move(*machine);
    own.problems = compile_all(*own.machine, *site_);
    if (own.problems.empty() && site_->init >= 0) run_init(own);
    if (!own.problems.empty()) return;
    if (const std::string error = own.machine->memory_error(); !error.empty()) {
      own.problems = {machine_problem(*site_, error)};
    }
  }

  void run_init(job& own) {
    init_run init(*own.machine, site_->init_timeout_ms);
    {
      const std::lock_guard lock(mutex_);
      own.running = &init;
    }
    const std::string error = init.run(site_->init, *site_->error_log);
    const std::lock_guard lock(mutex_);
    own.running = nullptr;
    if (error.empty()) return;
    own.was_given_up = has_failed_;
    own.problems = {start_problem(site_->chunks[static_cast<std::size_t>(site_->init)], error)};
  }

  // Until all have ended; looks after those whose init takes long.
  void watch() {
    std::unique_lock lock(mutex_);
    while (busy_ > 0 || (next_ < jobs_.size() && !has_failed_)) {
      changed_.wait_for(lock, std::chrono::milliseconds(50));
      const auto now = init_run::clock::now();
      for (job& each : jobs_) {
        if (each.running == nullptr) continue;
        if (has_failed_) each.running->cancel();
        each.running->look(now);
      }
    }
  }

  std::shared_ptr<const actors::site> site_;
  std::shared_ptr<lua::worker_threads> threads_;
  spare_machines& spare_;
  std::function<void()> leave_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<job> jobs_;  ///< Each belongs to its loader, but for `running`.
  std::size_t next_ = 0;
  unsigned busy_ = 0;
  bool has_failed_ = false;
};

}  // namespace

diagnostic start_problem(const lua::chunk_source& chunk, const std::string& error) {
  diagnostic problem{chunk.file, static_cast<unsigned>(chunk.line), start_error(chunk) + error, {}};
  if (error.starts_with(no_descriptor_is_left)) problem.hint = system_hint(EMFILE);
  // `error loading module 'a' from file 'PATH':\n\tPATH:3: text`: the module is to blame.
  if (!error.starts_with("error loading module '")) return problem;
  const std::string_view before_path = "' from file '";
  const auto at = error.find(before_path);
  const auto end = error.find("':\n\t", at);
  if (at == std::string::npos || end == std::string::npos) return problem;
  const std::string path = error.substr(at + before_path.size(), end - at - before_path.size());
  // Lua shortens long paths in front of the line, so that only their ends are the same.
  const std::string said = error.substr(end + 4);
  const std::size_t name = path.find_last_of('/') + 1;
  const auto place = said.find(path.substr(std::min(name, path.size())) + ":");
  if (place == std::string::npos) return problem;
  const std::size_t digits = place + (path.size() - name) + 1;
  const auto colon = said.find(": ", digits);
  if (colon == std::string::npos) return problem;
  problem.file = path;
  problem.line = static_cast<unsigned>(std::atoi(said.c_str() + digits));
  problem.reason = said.substr(colon + 2);
  return problem;
}

diagnostics check_chunks(const actors::site& site) {
  auto machine = lua::vm::create(machine_options(site, 0, 1));
  if (!machine) return {machine_problem(site, machine.error())};
  return compile_all(**machine, site);
}

tl::expected<std::vector<std::unique_ptr<lua::vm>>, diagnostics> build_machines(
    const std::shared_ptr<const actors::site>& site, lua::thread_pools& pools, spare_machines& spare,
    unsigned shards, std::function<void()> leave) {
  auto threads = std::make_shared<lua::worker_threads>();
  threads->pools = &pools;
  threads->definitions = site->thread_pools;
  threads->definitions.push_back({.name = "default"});  // nginx has it unless it is defined.
  threads->factory = std::make_shared<const lua::vm_factory>(
      [site, shards] { return lua::vm::create(machine_options(*site, 0, shards)); });
  return building(site, std::move(threads), spare, shards, std::move(leave)).run();
}

}  // namespace troupe
