// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "runtime/descriptors.hpp"
#include "runtime/node_impl.hpp"
#include "runtime/system_hint.hpp"

namespace troupe {

using net::log_level;

namespace {

constexpr std::int64_t handed_over_idle_ms = 5000;

}  // namespace

node::node(node_options options) : impl_(std::make_unique<impl>(std::move(options))) {}

node::~node() {
  if (impl_->is_running) {
    stop(stop_mode::fast);
    wait();
  }
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
      place.reset();
      made.clear();
      closer.reset();
      system.reset();
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
  // Closing VMs takes a while, and whoever asks the node something meanwhile need not wait for that.
  auto places = [&self] {
    const std::lock_guard lock(self.mutex);
    return std::exchange(self.places, {});
  }();
  places.clear();
  self.closer.reset();
  const std::lock_guard lock(self.mutex);
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
