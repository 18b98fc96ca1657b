// SPDX-License-Identifier: Apache-2.0
//
// Directives of the process and of `events`.
//
// Source   https://nginx.org/en/docs/ngx_core_module.html.
#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/setters.hpp"

namespace troupe::conf {
namespace {

void worker_processes(builder& b, const directive& d) {
  if (d.args[0] == "auto") {
    b.site().shards = 0;
    return;
  }
  const auto count = number_in(d.args[0]);
  if (!count || *count < 1 || *count > 1024) {
    b.fail(d, "invalid number \"" + d.args[0] + "\" in \"worker_processes\" directive");
    return;
  }
  b.site().shards = static_cast<int>(*count);
}

void daemon(builder& b, const directive& d) { b.process().daemon = d.args[0] == "on"; }
void master_process(builder& b, const directive& d) {
  b.process().master_process = d.args[0] == "on";
  b.site().is_single_process = !b.process().master_process;
}
void pid(builder& b, const directive& d) { b.process().pid_file = b.writable_path(d.args[0]); }

void user(builder& b, const directive& d) {
  b.process().user = d.args[0];
  b.process().group = d.args.size() > 1 ? d.args[1] : d.args[0];
}

void env(builder& b, const directive& d) {
  const std::string& text = d.args[0];
  const auto equals = text.find('=');
  auto& entries = b.process().environment;
  if (equals == std::string::npos) {
    entries.emplace_back(text, std::nullopt);
  } else {
    entries.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  b.site().environment = entries;
}

void rlimit_nofile(builder& b, const directive& d) {
  if (const auto n = number_in(d.args[0])) b.process().open_files = static_cast<std::uint64_t>(*n);
  else b.fail(d, "invalid number");
}

void rlimit_core(builder& b, const directive& d) {
  if (const auto n = size_in(d.args[0])) b.process().core_bytes = static_cast<std::uint64_t>(*n);
  else b.fail(d, "invalid value");
}

void working_directory(builder& b, const directive& d) { b.process().working_directory = d.args[0]; }

void shutdown_timeout(builder& b, const directive& d) {
  const auto time = parse_time(d.name, d.args[0]);
  if (!time) return b.fail(d, time.error());
  b.site().shutdown_timeout_ms = time->count();
}

void error_log(builder& b, const directive& d) {
  auto target = parse_error_log(d.args);
  if (!target) {
    b.fail(d, target.error());
    return;
  }
  if (b.here().is_first("error_log")) b.here().error_logs.clear();
  b.here().error_logs.push_back(std::move(*target));
}

void thread_pool(builder& b, const directive& d) {
  lua::thread_pool_definition made;
  made.name = d.args[0];
  bool has_threads = false;
  for (std::size_t i = 1; i < d.args.size(); ++i) {
    const std::string_view text = d.args[i];
    const bool is_threads = text.starts_with("threads=");
    const auto count = is_threads                         ? number_in(text.substr(8))
                       : text.starts_with("max_queue=") ? number_in(text.substr(10))
                                                          : std::nullopt;
    if (!count || *count < (is_threads ? 1 : 0)) {
      return b.fail(d, "invalid parameter \"" + d.args[i] + "\" in \"thread_pool\" directive");
    }
    if (is_threads) has_threads = true;
    (is_threads ? made.threads : made.most_waiting) = static_cast<std::size_t>(*count);
  }
  if (!has_threads) return b.fail(d, "\"threads\" parameter is missing in \"thread_pool\" directive");
  for (const auto& known : b.site().thread_pools) {
    if (known.name == made.name) return b.fail(d, "duplicate thread pool \"" + made.name + "\"");
  }
  b.site().thread_pools.push_back(std::move(made));
}

void events(builder& b, const directive& d) {
  scope inner = b.here();
  inner.where = context::events;
  inner.seen.clear();
  b.enter(d, inner);
}

constexpr directive_row rows[] = {
    {.name = "daemon", .contexts = context::main, .arguments = takes::flag, .syntax = "on | off",
     .standard = "on", .merge = merging::none,
     .help = "Whether a start by nginx's command line goes to the background.", .apply = daemon, .once = true},
    {.name = "master_process", .contexts = context::main, .arguments = takes::flag,
     .syntax = "on | off", .standard = "on", .merge = merging::none,
     .help = "There is always one process; `off` is what ngx.process then calls it.", .apply = master_process, .once = true},
    {.name = "worker_processes", .contexts = context::main, .arguments = takes::one,
     .syntax = "number | auto", .standard = "auto", .merge = merging::none,
     .help = "The number of shards; `auto` is one for each core.", .apply = worker_processes, .once = true},
    {.name = "pid", .contexts = context::main, .arguments = takes::one, .syntax = "file",
     .merge = merging::none, .help = "Where the number of the process is written.", .apply = pid, .once = true},
    {.name = "user", .contexts = context::main, .arguments = takes::one | takes::two,
     .syntax = "user [group]", .merge = merging::none,
     .help = "Whom the process runs as, if it is started as root.", .apply = user, .once = true},
    {.name = "env", .contexts = context::main, .arguments = takes::one, .syntax = "NAME[=value]",
     .standard = "TZ", .merge = merging::none,
     .help = "Keeps or sets a variable of the environment.", .apply = env},
    {.name = "error_log", .contexts = context::main | http_server_location, .arguments = takes::one | takes::two,
     .syntax = "file [level]", .standard = "logs/error.log error", .merge = merging::replace,
     .help = "Where problems are logged, and from which level on.", .apply = error_log},
    {.name = "worker_rlimit_nofile", .contexts = context::main, .arguments = takes::one,
     .syntax = "number", .merge = merging::none, .help = "How many descriptors the process may open.",
     .apply = rlimit_nofile, .once = true},
    {.name = "worker_rlimit_core", .contexts = context::main, .arguments = takes::one,
     .syntax = "size", .merge = merging::none, .help = "How large a core dump may get.",
     .apply = rlimit_core, .once = true},
    {.name = "working_directory", .contexts = context::main, .arguments = takes::one,
     .syntax = "folder", .merge = merging::none, .help = "The process's working directory.",
     .apply = working_directory, .once = true},
    {.name = "worker_shutdown_timeout", .contexts = context::main, .arguments = takes::one,
     .syntax = "time", .merge = merging::none, .help = "How long a graceful stop may take, also that of a process whose place another has taken "
             "(`troupe upgrade`). Then what is still open is closed. Without it a stop waits for the last "
             "request. What a new release means for requests under way is said by `on_release` and "
             "`drain_timeout`.",
     .apply = shutdown_timeout, .once = true},
    {.name = "timer_resolution", .contexts = context::main, .arguments = takes::one,
     .syntax = "time", .merge = merging::none, .help = "Accepted; time is read once a turn of the loop.", .apply = accept},
    {.name = "worker_priority", .contexts = context::main, .arguments = takes::one,
     .syntax = "number", .merge = merging::none, .help = "Accepted without effect.", .apply = accept},
    {.name = "worker_cpu_affinity", .contexts = context::main, .arguments = takes::one_or_more,
     .syntax = "mask …", .merge = merging::none, .help = "Accepted without effect.", .apply = accept},
    {.name = "load_module", .contexts = context::main, .arguments = takes::one, .syntax = "file",
     .merge = merging::none, .help = "Accepted: what nginx's modules do is built in.", .apply = accept},
    {.name = "pcre_jit", .contexts = context::main, .arguments = takes::flag, .syntax = "on | off",
     .standard = "on", .merge = merging::none, .help = "Accepted: expressions are always compiled.", .apply = accept},
    {.name = "thread_pool", .contexts = context::main, .arguments = takes::two | takes::three,
     .syntax = "name threads=number [max_queue=number]", .merge = merging::none,
     .help = "Threads for `ngx.run_worker_thread`.", .apply = thread_pool},
    {.name = "events", .contexts = context::main, .arguments = takes::none, .syntax = "{ … }",
     .merge = merging::none, .help = "The block for the directives on connections.", .apply = events,
     .once = true, .body = body_kind::block, .opens = context::events},
    {.name = "worker_connections", .contexts = context::events, .arguments = takes::one,
     .syntax = "number", .standard = "512", .merge = merging::none,
     .help = "Accepted: connections are limited by descriptors.", .apply = accept, .once = true},
    {.name = "use", .contexts = context::events, .arguments = takes::one, .syntax = "method",
     .standard = "epoll", .merge = merging::none, .help = "Accepted; it is always epoll.", .apply = accept},
    {.name = "multi_accept", .contexts = context::events, .arguments = takes::flag,
     .syntax = "on | off", .standard = "off", .merge = merging::none,
     .help = "Accepted: up to 16 connections are accepted a turn.", .apply = accept},
    {.name = "accept_mutex", .contexts = context::events, .arguments = takes::flag,
     .syntax = "on | off", .standard = "off", .merge = merging::none,
     .help = "Accepted: each shard has its own queue of connections.", .apply = accept},
    {.name = "accept_mutex_delay", .contexts = context::events, .arguments = takes::one,
     .syntax = "time", .merge = merging::none, .help = "Accepted without effect.", .apply = accept},
    {.name = "debug_connection", .contexts = context::events, .arguments = takes::one,
     .syntax = "address", .merge = merging::none, .help = "Accepted without effect.", .apply = accept},
};

}  // namespace

const directive_module main_module{"ngx_core_module", "The process.", rows};

}  // namespace troupe::conf
