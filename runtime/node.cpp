// SPDX-License-Identifier: Apache-2.0
#include "troupe/node.hpp"

#include <algorithm>
#include <caf/all.hpp>
#include <future>
#include <mutex>
#include <thread>

#include "actors/connection.hpp"
#include "actors/shard.hpp"
#include "actors/slice_watchdog.hpp"
#include "actors/worker_actor.hpp"
#include "net/listener.hpp"
#include "runtime/loader.hpp"
#include "runtime/log_sink.hpp"

namespace troupe {

using net::log_level;

namespace {

/// A listening socket on one shard, and what its connections know of it.
struct shard_listener {
  std::unique_ptr<net::listener> socket;
  std::shared_ptr<actors::connection_origin> origin;
};

struct shard_place {
  std::unique_ptr<actors::shard> shard;
  std::vector<shard_listener> listeners;  ///< Thread: shard.
  bool is_stopping = false;               ///< Thread: shard.
};

/// Bound and not yet listened on by a shard.
struct bound_socket {
  std::size_t group = 0;
  unsigned shard = 0;
  net::unique_fd fd;
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

}  // namespace

struct node::impl {
  explicit impl(node_options given) : options(std::move(given)) {
    auto stderr_file = files.open("stderr");
    const log_level level = options.log_level.value_or(log_level::error);
    early_log = std::make_shared<log_sink>(std::vector<log_sink::target>{{*stderr_file, level}});
  }

  tl::expected<void, diagnostics> bind(const actors::site& site,
                                       const std::vector<net::address>& kept,
                                       std::vector<bound_socket>& sockets);
  void shift_ports(actors::site& site);
  tl::expected<std::vector<std::shared_ptr<actors::shard_release>>, diagnostics> prepare(
      const std::shared_ptr<actors::site>& site);
  tl::expected<void, diagnostics> init_workers(
      const std::vector<std::shared_ptr<actors::shard_release>>& releases,
      const actors::site& site);
  void swap(std::vector<std::shared_ptr<actors::shard_release>> releases,
            std::vector<bound_socket> sockets, const std::shared_ptr<actors::site>& site);
  void drop(std::vector<std::shared_ptr<actors::shard_release>>& releases);
  void end(shard_place& place);
  void each_shard(const std::function<void(shard_place&)>& work);
  void stop_shards(stop_mode mode);
  void request_stop(stop_mode mode);

  node_options options;
  log_files files;
  dictionaries dicts;
  lua::thread_pools threads;
  std::optional<actors::slice_watchdog> watchdog;
  std::shared_ptr<const net::log_context> early_log;
  std::optional<loaded_configuration> loaded;
  system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::vector<std::unique_ptr<shard_place>> places;
  std::mutex mutex;  ///< Guards what reload() and stop() change from several threads.
  std::mutex reloading;  ///< Held by reload(): the shards stay until it has left.
  std::vector<std::shared_ptr<const net::log_context>> logs;  ///< Every one that log() ever gave.
  std::vector<listener_info> infos;
  std::vector<net::address> bound;  ///< The addresses as configured, by their sockets.
  bool is_running = false;
  bool is_stopping = false;
};

node::node(node_options options) : impl_(std::make_unique<impl>(std::move(options))) {}

node::~node() {
  if (impl_->is_running) {
    stop(stop_mode::fast);
    wait();
  }
}

tl::expected<diagnostics, diagnostics> node::load() {
  auto loaded = load_configuration(impl_->options, impl_->files);
  if (!loaded) return tl::unexpected(loaded.error());
  impl_->shift_ports(*loaded->site);
  impl_->logs.push_back(loaded->site->error_log);
  impl_->loaded = std::move(*loaded);
  return impl_->loaded->warnings;
}

tl::expected<diagnostics, diagnostics> node::check() {
  if (!impl_->loaded) {
    if (auto loaded = load(); !loaded) return loaded;
  }
  if (diagnostics problems = check_chunks(*impl_->loaded->site); !problems.empty()) {
    return tl::unexpected(std::move(problems));
  }
  return impl_->loaded->warnings;
}

// `--port`: the first port becomes that one, the others keep their distance.
void node::impl::shift_ports(actors::site& site) {
  if (!options.port) return;
  std::optional<int> distance;
  for (actors::listen_group& group : site.listens) {
    if (group.options.where.is_unix()) continue;
    if (*options.port == 0) {
      group.options.where.port(0);
      continue;
    }
    if (!distance) distance = int{*options.port} - int{group.options.where.port()};
    group.options.where.port(static_cast<std::uint16_t>(group.options.where.port() + *distance));
  }
}

tl::expected<void, diagnostics> node::impl::bind(const actors::site& site,
                                                 const std::vector<net::address>& kept,
                                                 std::vector<bound_socket>& sockets) {
  diagnostics problems;
  const auto shards = static_cast<unsigned>(places.size());
  for (std::size_t group = 0; group < site.listens.size(); ++group) {
    const actors::listen_options& listen = site.listens[group].options;
    if (std::find(kept.begin(), kept.end(), listen.where) != kept.end()) continue;
    auto report = [&](std::error_code error) {
      problems.push_back({listen.file, static_cast<unsigned>(listen.line),
                          "bind() to " + listen.where.text() + " failed (" +
                              std::to_string(error.value()) + ": " + error.message() + ")",
                          error == std::errc::address_in_use
                              ? "another program listens there; `--port N` moves this one"
                              : ""});
    };
    net::socket_options how{.backlog = listen.backlog, .reuseport = shards > 1};
    net::address where = listen.where;
    if (how.reuseport && !where.is_unix()) {
      // With SO_REUSEPORT the kernel would let us share the port with a stranger of the same user.
      how.reuseport = false;
      auto probe = net::listen_on(where, how);
      if (!probe) {
        report(probe.error());
        continue;
      }
      where = net::local_address(probe->get());  // Of port 0 too.
      how.reuseport = true;
    }
    for (unsigned shard = 0; shard < shards; ++shard) {
      if (where.is_unix() && shard > 0) break;  // One queue; the first shard accepts.
      auto socket = net::listen_on(where, how);
      if (!socket) {
        report(socket.error());
        break;
      }
      sockets.push_back({group, shard, std::move(*socket)});
    }
  }
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return {};
}

void node::impl::each_shard(const std::function<void(shard_place&)>& work) {
  std::vector<std::future<void>> done;
  for (auto& place : places) {
    auto finished = std::make_shared<std::promise<void>>();
    done.push_back(finished->get_future());
    place->shard->post([&work, &place, finished] {
      work(*place);
      finished->set_value();
    });
  }
  for (auto& each : done) each.wait();
}

tl::expected<std::vector<std::shared_ptr<actors::shard_release>>, diagnostics> node::impl::prepare(
    const std::shared_ptr<actors::site>& site) {
  auto machines = build_machines(site, dicts, threads, static_cast<unsigned>(places.size()),
                                 [this] { request_stop(stop_mode::graceful); });
  if (!machines) return tl::unexpected(machines.error());
  std::vector<std::shared_ptr<actors::shard_release>> releases;
  for (auto& machine : *machines) {
    releases.push_back(actors::shard_release::make(site, std::move(machine)));
  }
  return releases;
}

tl::expected<void, diagnostics> node::impl::init_workers(
    const std::vector<std::shared_ptr<actors::shard_release>>& releases, const actors::site& site) {
  std::vector<std::future<std::string>> results;
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto result = std::make_shared<std::promise<std::string>>();
    results.push_back(result->get_future());
    places[i]->shard->post([&place = *places[i], release = releases[i], chunk = site.init_worker, result] {
      if (place.is_stopping) return;  // The promise goes unkept.
      actors::shard& home = *place.shard;
      release->attach(home);
      if (chunk < 0) {
        release->machine().guard_globals();
        result->set_value({});
        return;
      }
      actors::worker_actor::run(home, release, chunk, lua::phase::init_worker,
                                [result, release](std::string error) {
                                  release->machine().guard_globals();
                                  result->set_value(std::move(error));
                                });
    });
  }
  diagnostics problems;
  for (auto& each : results) {
    std::string error = "the node stops";  // A shard that has ended runs no task any more.
    try {
      error = each.get();
    } catch (const std::future_error&) {
    }
    if (error.empty() || !problems.empty()) continue;
    const lua::chunk_source& chunk = site.chunks[static_cast<std::size_t>(site.init_worker)];
    problems.push_back({chunk.file, static_cast<unsigned>(chunk.line),
                        (chunk.path.empty() ? "init_worker_by_lua error: " : "init_worker_by_lua_file error: ") + error, {}});
  }
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return {};
}

// The shards take the releases over: their last reference must not be dropped by another thread.
void node::impl::swap(std::vector<std::shared_ptr<actors::shard_release>> releases,
                      std::vector<bound_socket> sockets, const std::shared_ptr<actors::site>& site) {
  each_shard([&](shard_place& place) {
    actors::shard& home = *place.shard;
    const unsigned index = home.index();
    auto release = std::move(releases[index]);
    if (place.is_stopping) return;
    home.use(std::move(release));
    // Listeners whose address is no longer configured close; the others find their new servers.
    std::erase_if(place.listeners, [&](shard_listener& listener) {
      for (std::size_t group = 0; group < site->listens.size(); ++group) {
        if (site->listens[group].options.where == listener.origin->configured) {
          listener.origin->group = group;
          return false;
        }
      }
      listener.origin->is_closed = true;
      return true;
    });
    for (bound_socket& socket : sockets) {
      if (socket.shard != index) continue;
      auto origin = std::make_shared<actors::connection_origin>();
      origin->group = socket.group;
      origin->configured = site->listens[socket.group].options.where;
      origin->listener = origin->configured.text();
      origin->where = net::local_address(socket.fd.get());
      origin->server_addr = origin->where.host();
      origin->server_port = origin->where.port();
      auto accepted = [&home, origin](net::unique_fd client, const net::address& peer) {
        actors::connection::accept(home, std::move(client), peer, origin);
      };
      shard_listener made;
      made.origin = origin;
      made.socket = std::make_unique<net::listener>(home.loop(), std::move(socket.fd),
                                                    std::move(accepted), *site->error_log);
      made.socket->start();
      place.listeners.push_back(std::move(made));
    }
  });
  std::vector<actors::shard*> shards;
  for (auto& place : places) shards.push_back(place->shard.get());
  if (!watchdog) watchdog.emplace();
  watchdog->watch(std::move(shards), site->max_slice_ms);
  // What is listened on, in the order of the configuration.
  std::vector<listener_info> now;
  std::vector<net::address> addresses;
  for (std::size_t group = 0; group < site->listens.size(); ++group) {
    for (const shard_listener& listener : places.front()->listeners) {
      if (listener.origin->group != group) continue;
      now.push_back({listener.origin->where.text(), "http"});
      addresses.push_back(listener.origin->configured);
      break;
    }
  }
  const std::lock_guard lock(mutex);
  infos = std::move(now);
  bound = std::move(addresses);
}

tl::expected<void, diagnostics> node::start() {
  impl& self = *impl_;
  if (!self.loaded) {
    if (auto loaded = load(); !loaded) return tl::unexpected(loaded.error());
  }
  const std::shared_ptr<actors::site> site = self.loaded->site;
  unsigned shards = self.options.shards;
  if (shards == 0) shards = static_cast<unsigned>(site->shards);
  if (shards == 0) shards = std::max(1u, std::thread::hardware_concurrency());

  self.places.resize(shards);
  std::vector<bound_socket> sockets;
  if (auto done = self.bind(*site, {}, sockets); !done) {
    self.places.clear();
    return done;
  }
  self.system = std::make_unique<caf::actor_system>(self.config);
  // CAF leaves a reference to its logger with the thread that makes a system and waits for it at the
  // end, which another thread may bring about.
  caf::logger::set_current_actor_system(nullptr);
  for (unsigned i = 0; i < shards; ++i) {
    self.places[i] = std::make_unique<shard_place>();
    self.places[i]->shard = std::make_unique<actors::shard>(*self.system, i, shards);
  }
  std::vector<lua::post_office*> offices;
  for (auto& place : self.places) offices.push_back(&place->shard->mail());
  for (lua::post_office* office : offices) office->connect(offices);
  auto releases = self.prepare(site);
  if (!releases) {
    self.places.clear();
    self.system.reset();
    return tl::unexpected(releases.error());
  }
  for (auto& place : self.places) place->shard->start();
  self.is_running = true;
  if (auto done = self.init_workers(*releases, *site); !done) {
    self.drop(*releases);
    stop(stop_mode::fast);
    wait();
    return done;
  }
  self.swap(std::move(*releases), std::move(sockets), site);
  return {};
}

// What a failed start leaves behind belongs to the shards' threads.
void node::impl::drop(std::vector<std::shared_ptr<actors::shard_release>>& releases) {
  each_shard([&](shard_place& place) { releases[place.shard->index()].reset(); });
}

// On the shard's thread: nothing is connected any more.
void node::impl::end(shard_place& place) {
  actors::shard& home = *place.shard;
  auto finish = [&home] {
    home.use(nullptr);
    // Workers of a reload that comes too late.
    home.end_residents(false, [&home] { home.loop().post([&home] { home.stop(); }); });
  };
  if (const auto release = home.current()) release->run_exit_worker(finish);
  else finish();
}

void node::impl::stop_shards(stop_mode mode) {
  for (auto& place : places) {
    place->shard->post([this, &place = *place, mode] {
      place.listeners.clear();
      if (std::exchange(place.is_stopping, true)) {
        // A fast stop hurries a graceful one: its callback runs when the last one has closed.
        if (mode == stop_mode::fast) place.shard->hurry();
        return;
      }
      const bool gracefully = mode == stop_mode::graceful;
      if (const auto release = place.shard->current(); release && gracefully) release->retire();
      place.shard->end_residents(gracefully, [this, &place] { end(place); });
    });
  }
}

void node::impl::request_stop(stop_mode mode) {
  const std::lock_guard lock(mutex);
  if (!is_running) return;
  is_stopping = true;
  stop_shards(mode);
}

void node::stop(stop_mode mode) { impl_->request_stop(mode); }

int node::wait() {
  impl& self = *impl_;
  for (auto& place : self.places) {
    if (place && place->shard) place->shard->join();
  }
  const std::lock_guard whole(self.reloading);
  self.watchdog.reset();
  self.threads.stop();  // Their ends are told to the shards' loops.
  const std::lock_guard lock(self.mutex);
  self.places.clear();
  self.system.reset();
  self.is_running = false;
  self.infos.clear();
  return 0;
}

tl::expected<void, diagnostics> node::reload() {
  impl& self = *impl_;
  const std::lock_guard whole(self.reloading);
  auto loaded = load_configuration(self.options, self.files);
  if (!loaded) return tl::unexpected(loaded.error());
  self.shift_ports(*loaded->site);
  const std::shared_ptr<actors::site> site = loaded->site;
  std::vector<net::address> kept;
  {
    const std::lock_guard lock(self.mutex);
    if (!self.is_running || self.is_stopping) return {};
    kept = self.bound;
  }
  std::vector<bound_socket> sockets;
  if (auto done = self.bind(*site, kept, sockets); !done) return done;
  auto releases = self.prepare(site);
  if (!releases) return tl::unexpected(releases.error());
  if (auto done = self.init_workers(*releases, *site); !done) {
    self.drop(*releases);
    return done;
  }
  bool is_stopping = false;
  {
    const std::lock_guard lock(self.mutex);
    is_stopping = self.is_stopping;
    if (!is_stopping) {
      self.logs.push_back(site->error_log);
      self.loaded = std::move(*loaded);
    }
  }
  if (is_stopping) {
    self.drop(*releases);
    return {};
  }
  self.swap(std::move(*releases), std::move(sockets), site);
  return {};
}

void node::reopen_logs() {
  for (const diagnostic& problem : impl_->files.reopen()) {
    log().write(problem.level, problem.reason);
  }
}

std::vector<listener_info> node::listeners() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->infos;
}

const process_settings& node::process() const { return impl_->loaded->process; }
const std::vector<conf_file>& node::files() const { return impl_->loaded->files; }

const net::log_context& node::log() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->logs.empty() ? *impl_->early_log : *impl_->logs.back();
}

}  // namespace troupe
