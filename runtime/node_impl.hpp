// SPDX-License-Identifier: Apache-2.0
//
// What the parts of a node share: node_releases.cpp loads releases and swaps them, node.cpp starts and
// stops, and shows what there is.
//
// Called   by runtime/node*.cpp alone.
#pragma once

#include "troupe/node.hpp"

#include <caf/all.hpp>
#include <condition_variable>
#include <mutex>

#include "actors/shard.hpp"
#include "actors/slice_watchdog.hpp"
#include "lua/vm_closer.hpp"
#include "runtime/dictionaries.hpp"
#include "runtime/listeners.hpp"
#include "runtime/live_releases.hpp"
#include "runtime/loader.hpp"
#include "runtime/log_sink.hpp"
#include "runtime/machine_builder.hpp"
#include "runtime/node_log.hpp"
#include "runtime/shard_releases.hpp"
#include "runtime/spare_machines.hpp"

namespace troupe {

struct shard_place {
  std::unique_ptr<actors::shard> shard;
  std::optional<shard_releases> releases;  ///< Thread: shard.
  shard_listeners listeners;               ///< Thread: shard.
  bool is_stopping = false;                ///< Thread: shard.

  /// worker_shutdown_timeout: ends at once what a graceful stop waits for. Thread: shard.
  struct : net::timer {
    actors::shard* home = nullptr;
    void on_timer() noexcept override { home->hurry(); }
  } most_stop_time;
};

class system_config final : public caf::actor_system_config {
public:
  system_config() {
    add_message_types<caf::id_block::troupe>();
    // Our actors live on shards; CAF's own threads run only what embedders spawn without one.
    set("scheduler.max-threads", 1);
    // The default looks for work to steal some hundred times a second, for nothing.
    set("scheduler.policy", caf::atom("sharing"));
    set("logger.verbosity", caf::atom("quiet"));
    set("logger.console", caf::atom("none"));
  }
};

/// A release on every shard; the references are dropped there.
using machines = std::vector<std::shared_ptr<actors::shard_release>>;

struct prepared_release::state {
  node::impl* owner = nullptr;
  std::shared_ptr<loaded_release> release;
  machines on_shards;
  std::vector<bound_socket> sockets;
  int number = 0;
  double load_ms = 0;
  bool was_warm = false;
};

struct node::impl {
  explicit impl(node_options given) : options(std::move(given)) {
    for (const listening_socket& each : options.inherited) {
      inherited.push_back({each.address, net::unique_fd(each.descriptor)});
    }
    options.inherited.clear();
    auto stderr_file = files.open("stderr");
    const net::log_level level = options.log_level.value_or(net::log_level::error);
    log.emplace(std::make_shared<log_sink>(std::vector<log_sink::target>{{*stderr_file, level}}));
  }

  tl::expected<loaded_configuration, diagnostics> read(const release_source& source);
  void shift_ports(actors::site& site) const;
  tl::expected<std::unique_ptr<prepared_release::state>, diagnostics> prepare(
      release_source source, std::optional<loaded_configuration> conf);
  tl::expected<void, diagnostics> build(prepared_release::state& made);
  tl::expected<void, diagnostics> init_workers(const machines& on_shards, const actors::site& site);
  swap_report activate(prepared_release::state& made);
  double swap(prepared_release::state& made, bool keeps_warm);
  void drop(prepared_release::state& made);
  void end(shard_place& place);
  void each_shard(const std::function<void(shard_place&)>& work);
  void stop_shards(stop_mode mode);
  [[nodiscard]] tl::expected<void, diagnostic> start_shards(unsigned count);
  bool begin_loading();
  void end_loading();
  void request_stop(stop_mode mode);

  node_options options;
  log_files files;
  net::live_config live_values;
  dictionaries dicts;
  lua::thread_pools threads;
  spare_machines spare;
  std::optional<actors::slice_watchdog> watchdog;
  std::optional<node_log> log;
  std::optional<lua::vm_closer> closer;        ///< Its finalizers log.
  std::optional<loaded_configuration> loaded;  ///< By load(), until start() takes it.
  release_source source;                       ///< Of `loaded`.
  system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::vector<std::unique_ptr<shard_place>> places;
  live_releases releases;
  live_releases::entry shown;  ///< What process() and files() show.
  mutable std::mutex mutex;    ///< Guards what follows.
  std::condition_variable loading_ended;
  bool is_loading = false;  ///< A release is being prepared, or is prepared and not yet put in.
  std::vector<inherited_socket> inherited;  ///< Until start() has taken them.
  std::vector<listener_info> infos;
  std::vector<net::address> bound;  ///< The identities of what is listened on.
  bool is_running = false;
  bool is_stopping = false;
};

}  // namespace troupe
