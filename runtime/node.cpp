// SPDX-License-Identifier: Apache-2.0
#include "troupe/node.hpp"

#include <algorithm>
#include <cerrno>
#include <caf/all.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <thread>

#include "actors/shard.hpp"
#include "actors/slice_watchdog.hpp"
#include "lua/vm_closer.hpp"
#include "runtime/descriptors.hpp"
#include "runtime/dictionaries.hpp"
#include "runtime/init_workers.hpp"
#include "runtime/listeners.hpp"
#include "runtime/live_releases.hpp"
#include "runtime/loader.hpp"
#include "runtime/log_sink.hpp"
#include "runtime/machine_builder.hpp"
#include "runtime/node_log.hpp"
#include "runtime/shard_releases.hpp"
#include "runtime/spare_machines.hpp"
#include "runtime/system_hint.hpp"

namespace troupe {

using net::log_level;

namespace {

using clock = std::chrono::steady_clock;

double ms_since(clock::time_point began) {
  return std::chrono::duration<double, std::milli>(clock::now() - began).count();
}

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

constexpr std::int64_t handed_over_idle_ms = 5000;

diagnostics node_stops() { return {{.reason = "the node does not run, or stops"}}; }

}  // namespace

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
    const log_level level = options.log_level.value_or(log_level::error);
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

prepared_release::prepared_release(std::unique_ptr<state> made) noexcept : state_(std::move(made)) {}
prepared_release::prepared_release(prepared_release&&) noexcept = default;
prepared_release& prepared_release::operator=(prepared_release&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
prepared_release::~prepared_release() {
  if (!state_) return;
  state_->owner->drop(*state_);
  state_->owner->end_loading();
}
int prepared_release::number() const noexcept { return state_->number; }
void prepared_release::number(int given) noexcept { state_->number = given; }
const diagnostics& prepared_release::warnings() const noexcept {
  return state_->release->conf.warnings;
}
double prepared_release::load_ms() const noexcept { return state_->load_ms; }
bool prepared_release::was_warm() const noexcept { return state_->was_warm; }

node::node(node_options options) : impl_(std::make_unique<impl>(std::move(options))) {}

node::~node() {
  if (impl_->is_running) {
    stop(stop_mode::fast);
    wait();
  }
}

// --- Loading --------------------------------------------------------------------------------------

tl::expected<loaded_configuration, diagnostics> node::impl::read(const release_source& from) {
  auto conf = load_configuration(from, options, files, &live_values);
  if (conf) conf->site->cluster = options.cluster;
  if (conf) shift_ports(*conf->site);
  return conf;
}

// `--port`: the first port becomes that one, the others keep their distance.
void node::impl::shift_ports(actors::site& site) const {
  std::optional<int> distance;
  for (actors::listen_group& group : site.listens) {
    net::address& where = group.options.where;
    // With free ports for all, what is written tells sockets apart.
    group.options.identity = where;
    if (!options.port || where.is_unix()) continue;
    if (*options.port == 0) {
      where.port(0);
      continue;
    }
    if (!distance) distance = int{*options.port} - int{where.port()};
    where.port(static_cast<std::uint16_t>(where.port() + *distance));
    group.options.identity = where;
  }
}

tl::expected<diagnostics, diagnostics> node::load() {
  impl& self = *impl_;
  auto source = source_of(self.options);
  if (!source) return tl::unexpected(source.error());
  auto conf = self.read(*source);
  if (!conf) return tl::unexpected(conf.error());
  self.log->lead_to(conf->site->error_log);
  self.source = std::move(*source);
  self.loaded = std::move(*conf);
  return self.loaded->warnings;
}

tl::expected<diagnostics, diagnostics> node::check() {
  impl& self = *impl_;
  if (!self.loaded) {
    if (auto loaded = load(); !loaded) return loaded;
  }
  if (diagnostics problems = check_chunks(*self.loaded->site); !problems.empty()) {
    name_by_prefix(problems, self.source);
    return tl::unexpected(std::move(problems));
  }
  return self.loaded->warnings;
}

bool node::impl::begin_loading() {
  std::unique_lock lock(mutex);
  loading_ended.wait(lock, [this] { return !is_loading || !is_running || is_stopping; });
  if (!is_running || is_stopping) return false;
  is_loading = true;
  return true;
}

void node::impl::end_loading() {
  // Whoever waits may destroy the node at once: told under the lock.
  const std::lock_guard lock(mutex);
  is_loading = false;
  loading_ended.notify_all();
}

tl::expected<std::unique_ptr<prepared_release::state>, diagnostics> node::impl::prepare(
    release_source from, std::optional<loaded_configuration> conf) {
  const auto began = clock::now();
  auto made = std::make_unique<prepared_release::state>();
  made->owner = this;
  made->number = from.number;
  tl::expected<void, diagnostics> done;
  if (const auto warm = releases.warm(from)) {
    made->was_warm = true;
    made->release = std::const_pointer_cast<loaded_release>(warm);
    made->on_shards.resize(places.size());
    each_shard([&](shard_place& place) {
      const auto& kept = place.releases->warm();
      if (place.is_stopping || !kept) return;
      kept->resume();
      made->on_shards[place.shard->index()] = kept;
    });
    for (const auto& one : made->on_shards) {
      if (!one) done = tl::unexpected(node_stops());
    }
    std::vector<net::address> kept;
    {
      const std::lock_guard lock(mutex);
      kept = bound;
    }
    if (done) {
      auto sockets = bind_new(*warm->conf.site, kept, static_cast<unsigned>(places.size()), inherited);
      if (sockets) made->sockets = std::move(*sockets);
      else done = tl::unexpected(std::move(sockets.error()));
    }
  } else {
    if (!conf) {
      auto read_now = read(from);
      if (!read_now) return tl::unexpected(std::move(read_now.error()));
      conf = std::move(*read_now);
    }
    made->release = std::make_shared<loaded_release>();
    made->release->source = std::move(from);
    made->release->conf = std::move(*conf);
    done = build(*made);
  }
  if (done) done = init_workers(made->on_shards, *made->release->conf.site);
  if (!done) {
    drop(*made);
    name_by_prefix(done.error(), made->release->source);
    return tl::unexpected(std::move(done.error()));
  }
  made->load_ms = ms_since(began);
  return made;
}

tl::expected<void, diagnostics> node::impl::build(prepared_release::state& made) {
  const std::shared_ptr<actors::site>& site = made.release->conf.site;
  std::vector<net::address> kept;
  {
    const std::lock_guard lock(mutex);
    kept = bound;
  }
  const auto shards = static_cast<unsigned>(places.size());
  auto sockets = bind_new(*site, kept, shards, inherited);
  if (!sockets) return tl::unexpected(std::move(sockets.error()));
  made.sockets = std::move(*sockets);
  dicts.give(*site);
  auto built = build_machines(site, threads, spare, shards, [this] { request_stop(stop_mode::graceful); });
  if (!built) return tl::unexpected(std::move(built.error()));
  for (auto& machine : *built) {
    made.on_shards.push_back(actors::shard_release::make(site, std::move(machine)));
    made.release->loads.push_back(made.on_shards.back()->load());
  }
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

tl::expected<void, diagnostics> node::impl::init_workers(const machines& on_shards,
                                                         const actors::site& site) {
  std::vector<worker_place> where;
  for (std::size_t i = 0; i < places.size(); ++i) {
    where.push_back({places[i]->shard.get(), &places[i]->is_stopping, on_shards[i]});
  }
  return run_init_workers(std::move(where), site);
}

// What is not put in belongs to the shards' threads all the same.
void node::impl::drop(prepared_release::state& made) {
  made.sockets.clear();
  if (!made.on_shards.empty()) {
    each_shard([&](shard_place& place) {
      auto release = std::move(made.on_shards[place.shard->index()]);
      if (!release) return;
      if (made.was_warm) {
        if (!place.is_stopping) release->retire();  // Its timers of just now end; it stays warm.
        return;
      }
      release->wind_up();
      place.shard->end_of(*release, -1);
    });
    made.on_shards.clear();
  }
  if (const auto serves = releases.active()) dicts.settle(*serves->conf.site);
}

// --- The swap -------------------------------------------------------------------------------------

// The shards take the releases over: their last reference must not be dropped by another thread.
double node::impl::swap(prepared_release::state& made, bool keeps_warm) {
  const std::shared_ptr<actors::site>& site = made.release->conf.site;
  std::vector<shard_listeners::info> listed;
  const auto began = clock::now();
  each_shard([&](shard_place& place) {
    auto release = std::move(made.on_shards[place.shard->index()]);
    if (place.is_stopping) return;
    place.releases->swap(std::move(release), keeps_warm);
    // Of what changed while it was prepared, nobody has told it.
    place.shard->current()->machine().config_waiters().tell();
    place.shard->current()->machine().cluster_waiters().tell();
    place.listeners.change(*place.shard, *site, made.sockets, *log);
    if (place.shard->index() == 0) listed = place.listeners.list(*site);  // It has them all.
  });
  const double took = ms_since(began);
  const std::lock_guard lock(mutex);
  infos.clear();
  bound.clear();
  for (auto& each : listed) {
    infos.push_back(std::move(each.shown));
    bound.push_back(each.identity);
  }
  return took;
}

swap_report node::impl::activate(prepared_release::state& made) {
  swap_report report{.number = made.number, .previous = releases.active_number(), .load_ms = made.load_ms};
  {
    const std::lock_guard lock(mutex);
    if (is_stopping) {
      report.done = false;
    } else {
      report.done = true;
      log->lead_to(made.release->conf.site->error_log);
    }
  }
  if (!report.done) {
    drop(made);
    return report;
  }
  const actors::site& site = *made.release->conf.site;
  dicts.settle(site);
  report.swap_ms = swap(made, releases.keeps_active(*made.release));
  const auto asked = releases.put(made.release, made.number);
  if (!asked.empty()) {
    each_shard([&](shard_place& place) {
      if (place.is_stopping) return;
      for (const auto& each : asked) place.releases->ask(each->conf.site.get(), site.drain_timeout_ms);
    });
  }
  std::vector<actors::shard*> shards;
  for (auto& place : places) shards.push_back(place->shard.get());
  spare.refill(static_cast<unsigned>(shards.size()));
  watchdog->watch(std::move(shards), site.max_slice_ms);
  const std::lock_guard lock(mutex);
  shown = made.release;
  return report;
}

tl::expected<prepared_release, diagnostics> node::prepare(const release_source& source) {
  impl& self = *impl_;
  if (!self.begin_loading()) return tl::unexpected(node_stops());
  auto made = self.prepare(with_whole_paths(source), std::nullopt);
  if (!made) {
    self.end_loading();
    return tl::unexpected(std::move(made.error()));
  }
  return prepared_release(std::move(*made));
}

swap_report node::activate(prepared_release&& release) {
  impl& self = *impl_;
  const auto made = std::move(release.state_);
  swap_report report = self.activate(*made);
  // What nobody has a `listen` for is closed: its queue would fill and never be served.
  self.inherited.clear();
  if (report.done && log().enabled(log_level::notice)) {
    char times[80];
    std::snprintf(times, sizeof times, "loaded in %.1f ms, swapped in %.2f ms", report.load_ms, report.swap_ms);
    log().write(log_level::notice,
                (report.number > 0 ? "release " + std::to_string(report.number) : "new configuration") +
                    " serves, " + times);
  }
  self.end_loading();
  return report;
}

tl::expected<void, diagnostics> node::reload() {
  auto source = source_of(impl_->options);
  if (!source) return tl::unexpected(source.error());
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->is_running || impl_->is_stopping) return {};
  }
  auto prepared = prepare(*source);
  if (!prepared) return tl::unexpected(std::move(prepared.error()));
  activate(std::move(*prepared));
  return {};
}

std::vector<live_release> node::releases() const { return impl_->releases.list(); }

node_load node::load_now() const {
  node_load load;
  const auto active = impl_->releases.active();
  std::uint64_t busy = 0;
  for (const live_release& each : releases()) busy += each.exchanges;
  const std::lock_guard lock(impl_->mutex);
  for (const auto& place : impl_->places) {
    ++load.shards;
    load.connections += place->shard->connections.load(std::memory_order_relaxed);
    load.requests += place->shard->requests.load(std::memory_order_relaxed);
    load.errors += place->shard->errors.load(std::memory_order_relaxed);
  }
  if (active) {
    for (const auto& each : active->loads) load.lua_bytes += each->lua_bytes();
  }
  load.idle = load.connections - std::min(busy, load.connections);
  return load;
}

// --- Start and stop -------------------------------------------------------------------------------

tl::expected<void, diagnostic> node::impl::start_shards(unsigned count) {
  system = std::make_unique<caf::actor_system>(config);
  // CAF leaves a reference to its logger with the thread that makes a system and waits for it at the
  // end, which another thread may bring about.
  caf::logger::set_current_actor_system(nullptr);
  std::vector<std::unique_ptr<shard_place>> made;
  closer.emplace();
  for (unsigned i = 0; i < count; ++i) {
    auto place = std::make_unique<shard_place>();
    place->shard = std::make_unique<actors::shard>(*system, i, count, &*closer);
    place->releases.emplace(*place->shard);
    if (std::string lack = lack_of_descriptors(); !lack.empty()) {
      return tl::unexpected(diagnostic{.reason = std::move(lack), .hint = system_hint(EMFILE)});
    }
    made.push_back(std::move(place));
  }
  std::vector<lua::post_office*> offices;
  for (auto& place : made) offices.push_back(&place->shard->mail());
  for (lua::post_office* office : offices) office->connect(offices);
  for (auto& place : made) place->shard->start();
  watchdog.emplace();  // Not at an apply, which has a low priority.
  const std::lock_guard lock(mutex);
  places = std::move(made);
  is_loading = is_running = true;
  return {};
}

tl::expected<void, diagnostics> node::start() {
  auto made = prepare_start();
  if (!made) return tl::unexpected(std::move(made.error()));
  const auto state = std::move(made->state_);
  impl_->activate(*state);
  impl_->inherited.clear();
  impl_->end_loading();
  return {};
}

tl::expected<prepared_release, diagnostics> node::prepare_start() {
  impl& self = *impl_;
  if (!self.loaded) {
    if (auto loaded = load(); !loaded) return tl::unexpected(loaded.error());
  }
  const actors::site& site = *self.loaded->site;
  unsigned shards = self.options.shards;
  if (shards == 0) shards = static_cast<unsigned>(site.shards);
  if (shards == 0) shards = std::max(1u, std::thread::hardware_concurrency());
  if (auto started = self.start_shards(shards); !started) {
    return tl::unexpected(diagnostics{std::move(started.error())});
  }
  // process() and files() are asked for while the release goes its way.
  auto conf = std::exchange(self.loaded, std::nullopt);
  auto early = std::make_shared<loaded_release>();
  early->conf = *conf;
  self.shown = early;
  auto made = self.prepare(self.source, std::move(conf));
  if (!made) {
    self.end_loading();
    stop(stop_mode::fast);
    wait();
    return tl::unexpected(std::move(made.error()));
  }
  return prepared_release(std::move(*made));
}

// On the shard's thread: nothing is connected any more.
void node::impl::end(shard_place& place) {
  actors::shard& home = *place.shard;
  home.loop().timers().cancel(place.most_stop_time);
  auto finish = [&home] {
    home.use(nullptr);
    // Workers of a reload that comes too late.
    home.end_residents(false, [&home] { home.loop().post([&home] { home.stop(); }); });
  };
  place.releases->end([&home, finish] {
    if (const auto release = home.current()) release->run_exit_worker(finish);
    else finish();
  });
}

void node::impl::stop_shards(stop_mode mode) {
  for (auto& place : places) {
    place->shard->post([this, &place = *place, mode] {
      place.listeners.close();
      if (std::exchange(place.is_stopping, true)) {
        // A fast stop hurries a graceful one: its callback runs when the last one has closed.
        if (mode == stop_mode::fast) place.shard->hurry();
        return;
      }
      const bool gracefully = mode != stop_mode::fast;
      if (mode == stop_mode::handed_over) place.shard->idle_grace(handed_over_idle_ms);
      if (gracefully) {
        place.releases->wind_up();
        const auto& release = place.shard->current();
        if (const auto ms = release ? release->configuration().shutdown_timeout_ms : 0; ms > 0) {
          place.most_stop_time.home = place.shard.get();
          place.shard->loop().timers().arm(place.most_stop_time, ms);
        }
      }
      place.shard->end_residents(gracefully, [this, &place] { end(place); });
    });
  }
}

void node::impl::request_stop(stop_mode mode) {
  const std::lock_guard lock(mutex);
  if (!is_running) return;
  is_stopping = true;
  loading_ended.notify_all();
  stop_shards(mode);
}

void node::stop(stop_mode mode) { impl_->request_stop(mode); }

int node::wait() {
  impl& self = *impl_;
  for (auto& place : self.places) {
    if (place && place->shard) place->shard->join();
  }
  {
    std::unique_lock lock(self.mutex);
    self.loading_ended.wait(lock, [&self] { return !self.is_loading; });
  }
  self.watchdog.reset();
  self.threads.stop();  // Their ends are told to the shards' loops.
  self.releases.clear();
  const std::lock_guard lock(self.mutex);
  self.places.clear();
  self.closer.reset();
  self.system.reset();
  self.is_running = false;
  self.infos.clear();
  return 0;
}

void node::reopen_logs() {
  for (const diagnostic& problem : impl_->files.reopen()) {
    log().write(problem.level, problem.reason);
  }
}

std::vector<listening_socket> node::listening_sockets() {
  impl& self = *impl_;
  // As while a release loads: wait() does not take the shards away meanwhile.
  if (!self.begin_loading()) return {};
  std::vector<std::vector<inherited_socket>> of_shards(self.places.size());
  self.each_shard([&](shard_place& place) {
    of_shards[place.shard->index()] = place.listeners.copies();
  });
  self.end_loading();
  std::vector<listening_socket> all;
  for (auto& sockets : of_shards) {
    for (inherited_socket& each : sockets) {
      all.push_back({std::move(each.address), each.fd.release()});
    }
  }
  return all;
}

std::vector<listener_info> node::listeners() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->infos;
}

net::live_config& node::config() noexcept { return impl_->live_values; }

void node::tell_config_changed() {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->is_running) return;
  for (auto& place : impl_->places) {
    place->shard->post([&shard = *place->shard] {
      if (const auto& release = shard.current()) release->machine().config_waiters().tell();
    });
  }
}

void node::tell_cluster_changed() {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->is_running) return;
  for (auto& place : impl_->places) {
    place->shard->post([&shard = *place->shard] {
      if (const auto& release = shard.current()) release->machine().cluster_waiters().tell();
    });
  }
}

const process_settings& node::process() const {
  return impl_->loaded ? impl_->loaded->process : impl_->shown->conf.process;
}
const std::vector<conf_file>& node::files() const {
  return impl_->loaded ? impl_->loaded->files : impl_->shown->conf.files;
}

const net::log_context& node::log() const { return *impl_->log; }

}  // namespace troupe
