// SPDX-License-Identifier: Apache-2.0
//
// A site: what a release's configuration means, as the actors use it: servers, locations, code,
// variables. Built once by runtime/conf, checked whole, then immutable and shared by all shards.
//
// Source   ngx_http_core_module: server, location, listen.
// Thread   any; constant.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "actors/lua_code.hpp"
#include "actors/stage.hpp"
#include "lua/location_match.hpp"
#include "lua/regex.hpp"
#include "lua/server_name_match.hpp"
#include "lua/thread_pool.hpp"
#include "lua/vm.hpp"
#include "net/address.hpp"
#include "net/settings.hpp"
#include "net/variables.hpp"

namespace troupe::actors {

class access_log;

/// `listen`: where, and how.
struct listen_options {
  net::address where;
  bool is_default = false;
  bool reuseport = false;
  bool http2 = false;
  net::address identity;  ///< What tells it from others, in other releases too; see listeners.
  int backlog = 511;
  std::string text;  ///< As written, for messages.
  std::string file;
  int line = 0;
};

struct location {
  int id = 0;                    ///< Index of its chain in a shard_release.
  std::string name;
  std::optional<lua::regex> pattern;  ///< Of `~` and `~*`.
  net::location_settings settings;
  std::vector<std::shared_ptr<const stage_spec>> stages;  ///< Sorted by phase.
  lua_code header_filter;
  lua_code body_filter;
  /// add_header, more_clear_headers …: run before the header filter.
  std::vector<std::function<void(exchange_box&)>> header_edits;
  std::shared_ptr<const net::log_context> error_log;
  std::vector<std::shared_ptr<const access_log>> access_logs;
};

struct virtual_server {
  std::vector<std::string> names;
  std::vector<listen_options> listens;
  location defaults;             ///< What holds before a location is found, and its server stages.
  std::optional<lua::location_match> locations;  ///< Its numbers are indices of `places`.
  std::vector<std::unique_ptr<location>> places;
  location fallback;             ///< For URIs that no location is for: the server's files.
};

/// The servers of one address.
struct listen_group {
  listen_options options;
  std::vector<std::uint32_t> servers;
  std::optional<std::uint32_t> default_server;  ///< Set by `default_server`; else the first.
  lua::server_name_match names{0};   ///< Its servers are indices of site.servers.
  std::vector<lua::regex> patterns;  ///< Regular expressions of `names`, by number.
};

/// A line of the access log; `access_log` makes them.
class access_log {
public:
  virtual ~access_log() = default;
  virtual void write(net::exchange& x) const = 0;
};

struct dict_definition {
  std::string name;
  std::size_t capacity = 0;
};

struct site {
  std::string prefix;                     ///< With final slash.
  std::string code_prefix;                ///< Where Lua files are: `prefix`, or the app's own folder.
  std::vector<std::unique_ptr<virtual_server>> servers;
  net::location_settings http;            ///< Of `http`: for code without a request.
  std::vector<listen_group> listens;
  std::vector<lua::chunk_source> chunks;
  int init = -1;                          ///< Chunk ids; -1: none.
  int init_worker = -1;
  int exit_worker = -1;
  std::vector<dict_definition> dicts;
  net::variable_table variables;
  std::string package_path;
  std::string package_cpath;
  int regex_cache_entries = 1024;
  int regex_match_limit = 0;
  std::vector<lua::thread_pool_definition> thread_pools;
  std::int64_t max_slice_ms = 0;          ///< lua_max_slice; 0: any.
  bool is_single_process = false;         ///< master_process off.
  bool max_slice_kills = false;
  std::size_t max_memory = 0;             ///< lua_max_memory; 0: any.
  std::string max_memory_file;            ///< Where that is written.
  int max_memory_line = 0;
  int most_pending_timers = 1024;
  int most_running_timers = 256;
  int shards = 0;                         ///< worker_processes; 0: auto.
  int location_count = 0;
  std::set<lua::phase> not_postponed;  ///< Whose Lua handler runs before the directives.
  std::shared_ptr<const net::log_context> error_log;
  /// `env`; without a value: as the process was started.
  std::vector<std::pair<std::string, std::optional<std::string>>> environment;
  std::int64_t init_timeout_ms = 30'000;  ///< lua_init_timeout; 0: any time.
  std::size_t max_live_releases = 3;
  std::int64_t drain_timeout_ms = 30'000;
  std::int64_t shutdown_timeout_ms = 0;  ///< worker_shutdown_timeout; 0: any time.
  std::vector<std::int64_t> drain_times;  ///< Of `on_release drain`, each once.
  /// What its VMs point to: it lives as long as they do.
  std::vector<std::shared_ptr<lua::shared_dict>> kept_dicts;
  std::shared_ptr<net::live_cluster> cluster;  ///< Of the node; null: it is in none.
};

}  // namespace troupe::actors
