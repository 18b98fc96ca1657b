// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>

#include "runtime/init_workers.hpp"
#include "runtime/node_impl.hpp"

namespace troupe {

using net::log_level;

namespace {

using clock = std::chrono::steady_clock;

double ms_since(clock::time_point began) {
  return std::chrono::duration<double, std::milli>(clock::now() - began).count();
}

diagnostics node_stops() { return {{.reason = "the node does not run, or stops"}}; }

}  // namespace

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

}  // namespace troupe
