// SPDX-License-Identifier: Apache-2.0
#include "runtime/loader.hpp"

#include <climits>
#include <cstdlib>
#include <optional>

#include "net/client_services.hpp"
#include "runtime/app_folder.hpp"
#include "runtime/conf/builder.hpp"
#include "runtime/conf/parser.hpp"

namespace troupe {
namespace {

std::string absolute(std::string path) {
  if (path.empty()) path = ".";
  char real[PATH_MAX];
  if (::realpath(path.c_str(), real) != nullptr) return real;
  return path;
}

std::string with_slash(std::string path) {
  if (!path.ends_with('/')) path += '/';
  return path;
}

/// Runs a script to its end on an event loop of its own, so that init may wait.
class loader_host final : public lua::script_host {
public:
  void wake(lua::wait_token token) noexcept override { woken_.push_back(token); }
  [[nodiscard]] net::event_loop& loop() noexcept override { return loop_; }
  [[nodiscard]] net::client_services& services() noexcept override { return services_; }

  void run(lua::script& script) {
    loop_.set_idle_hook([this] {
      std::vector<lua::wait_token> now;
      now.swap(woken_);
      for (const lua::wait_token token : now) deliver(token);
      return !now.empty();  // The script may have ended: do not sleep before that is seen.
    });
    while (script.state() == lua::script::progress::waiting) loop_.turn_once();
  }

private:
  net::event_loop loop_;
  net::client_services services_{loop_};
  std::vector<lua::wait_token> woken_;
};

lua::vm_options machine_options(const actors::site& site, unsigned shard, unsigned shards) {
  lua::vm_options options;
  options.prefix = site.prefix;
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
  options.shard = static_cast<int>(shard);
  options.shards = static_cast<int>(shards);
  options.log = site.error_log.get();
  options.settings = &site.http;
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

// Lua says `content_by_lua(nginx.conf:12):3: text`; the line in the file follows from it.
diagnostic chunk_problem(const lua::chunk_source& chunk, const std::string& error) {
  diagnostic problem;
  if (!chunk.path.empty()) {
    problem.reason = runs_at_start(chunk.where)
                         ? start_error(chunk) + error
                         : "failed to load external Lua file \"" + chunk.path + "\": " + error;
    problem.file = chunk.file;
    problem.line = static_cast<unsigned>(chunk.line);
    // "PATH:3: text" names the place itself.
    if (error.starts_with(chunk.path + ":")) {
      problem.file = chunk.path;
      problem.line = static_cast<unsigned>(std::atoi(error.c_str() + chunk.path.size() + 1));
      const auto colon = error.find(':', chunk.path.size() + 1);
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

}  // namespace

lua::shared_dict& dictionaries::get(const std::string& name, std::size_t capacity) {
  for (auto& dict : all_) {
    if (dict->name() == name && dict->capacity() == capacity) return *dict;
  }
  // One of another size stays for the releases that still use it.
  all_.push_back(std::make_unique<lua::shared_dict>(name, capacity));
  return *all_.back();
}

tl::expected<loaded_configuration, diagnostics> load_configuration(const node_options& options,
                                                                   log_files& files) {
  std::string prefix;
  std::string conf;
  if (!options.app.empty()) {
    auto app = find_app(options.app);
    if (!app) return tl::unexpected(diagnostics{app.error()});
    prefix = app->prefix;
    conf = app->conf;
  } else {
    prefix = with_slash(absolute(options.prefix));
    conf = options.conf.empty() ? "conf/nginx.conf" : options.conf;
    if (!conf.starts_with('/')) conf = prefix + conf;
  }
  const auto own = conf::all_modules();
  std::vector<conf::directive_module> modules(own.begin(), own.end());
  for (const conf::directive_module* given : options.modules) modules.push_back(*given);
  conf::directive_table table(modules);
  conf::disk_files source;
  conf::parse_result parsed = conf::parse_file(source, conf);
  diagnostics problems = std::move(parsed.errors);
  std::vector<conf::directive> tree;
  if (!options.directives.empty()) {
    conf::parse_result given = conf::parse_parameters(options.directives);
    problems.insert(problems.end(), given.errors.begin(), given.errors.end());
    tree = std::move(given.directives);
  }
  for (auto& d : parsed.directives) tree.push_back(std::move(d));
  tree = conf::complete_blocks(std::move(tree), table);
  const diagnostics found = table.check(tree);
  problems.insert(problems.begin(), found.begin(), found.end());
  if (is_fatal(problems)) return tl::unexpected(problems);

  conf::builder builder(table, files,
                        {.prefix = prefix,
                         .conf_folder = std::string(conf::folder_of(conf)),
                         .default_error_log = options.error_log,
                         .log_level = options.log_level});
  loaded_configuration loaded;
  loaded.site = builder.build(tree);
  problems.insert(problems.end(), builder.problems().begin(), builder.problems().end());
  if (is_fatal(problems)) return tl::unexpected(problems);
  if (loaded.site->servers.empty()) {
    // nginx starts without servers too; it then only waits for signals.
    problems.push_back({conf, 0, "no \"server\" is defined", {}, net::log_level::warn});
  }
  loaded.process = builder.process();
  loaded.warnings = std::move(problems);
  for (const std::string& path : parsed.files) {
    if (auto text = source.read(path)) loaded.files.push_back({path, std::move(*text)});
  }
  return loaded;
}

diagnostics check_chunks(const actors::site& site) {
  auto machine = lua::vm::create(machine_options(site, 0, 1));
  if (!machine) return {machine_problem(site, machine.error())};
  return compile_all(**machine, site);
}

tl::expected<std::vector<std::unique_ptr<lua::vm>>, diagnostics> build_machines(
    const std::shared_ptr<const actors::site>& shared_site, dictionaries& dicts,
    lua::thread_pools& pools, unsigned shards) {
  const actors::site& site = *shared_site;
  std::vector<std::pair<std::string, lua::shared_dict*>> shared_dicts;
  for (const actors::dict_definition& dict : site.dicts) {
    shared_dicts.emplace_back(dict.name, &dicts.get(dict.name, dict.capacity));
  }
  auto threads = std::make_shared<lua::worker_threads>();
  threads->pools = &pools;
  threads->definitions = site.thread_pools;
  threads->definitions.push_back({.name = "default"});  // nginx has it unless it is defined.
  threads->factory = std::make_shared<const lua::vm_factory>([shared_site, shared_dicts, shards] {
    lua::vm_options options = machine_options(*shared_site, 0, shards);
    options.shared_dicts = shared_dicts;
    return lua::vm::create(std::move(options));
  });
  std::vector<std::unique_ptr<lua::vm>> machines;
  for (unsigned shard = 0; shard < shards; ++shard) {
    lua::vm_options options = machine_options(site, shard, shards);
    options.shared_dicts = shared_dicts;
    options.threads = threads;
    auto machine = lua::vm::create(std::move(options));
    if (!machine) return tl::unexpected(diagnostics{machine_problem(site, machine.error())});
    if (diagnostics problems = compile_all(**machine, site); !problems.empty()) {
      return tl::unexpected(std::move(problems));
    }
    if (site.init >= 0) {
      loader_host host;
      lua::script script(**machine, host);
      script.start(site.init, lua::phase::init, nullptr, *site.error_log);
      host.run(script);
      if (script.state() == lua::script::progress::failed) {
        const lua::chunk_source& chunk = site.chunks[static_cast<std::size_t>(site.init)];
        return tl::unexpected(diagnostics{
            {chunk.file, static_cast<unsigned>(chunk.line),
             start_error(chunk) + script.error_message(), {}}});
      }
    }
    if (const std::string error = (*machine)->memory_error(); !error.empty()) {
      return tl::unexpected(diagnostics{machine_problem(site, error)});
    }
    machines.push_back(std::move(*machine));
  }
  return machines;
}

}  // namespace troupe
