// SPDX-License-Identifier: Apache-2.0
#include "actors/shard_release.hpp"

#include <unordered_map>

#include "actors/lua_actor.hpp"
#include "actors/shard.hpp"
#include "actors/timer_actor.hpp"
#include "actors/worker_actor.hpp"
#include "lua/vm_closer.hpp"

namespace troupe::actors {
shard_release::shard_release(std::shared_ptr<const site> site, std::unique_ptr<lua::vm> machine)
    : site_(std::move(site)), machine_(std::move(machine)) {}

// The site has what the VM's options point to.
shard_release::~shard_release() {
  auto closed = [site = std::move(site_), load = std::move(load_)] {
    load->closed_.store(true, std::memory_order_release);
  };
  lua::vm_closer* const closer = home_ != nullptr ? home_->closer() : nullptr;
  if (closer == nullptr) {
    machine_.reset();
    closed();
    return;
  }
  // What still belongs to the shard: its timers, of a release that never served or of a stop at once.
  machine_->timers().drop_all();
  machine_->unwatch();
  machine_->actors = nullptr;
  closer->close(std::move(machine_), std::move(closed));
}

std::shared_ptr<shard_release> shard_release::make(std::shared_ptr<const site> site,
                                                   std::unique_ptr<lua::vm> machine) {
  return {new shard_release(std::move(site), std::move(machine)), dispose};
}

// The last exchange, timer or shard has let go. One that has served has its exit_worker_by_lua to
// run yet, which needs it once more.
void shard_release::dispose(shard_release* last) noexcept {
  if (!last->was_current_ || last->has_exited_) {
    // With a timer left the loop would be asked for; there is none but where nothing was retired.
    if (last->home_ == nullptr || last->machine_->timers().pending() > 0) {
      delete last;
      return;
    }
    // Not from within its own script.
    last->home_->loop().post(
        [one = std::shared_ptr<shard_release>(last, [](shard_release* what) { delete what; })] {});
    return;
  }
  const std::shared_ptr<shard_release> again(last, dispose);
  again->run_exit_worker([] {});
}

void shard_release::run_exit_worker(std::function<void()> then) {
  has_exited_ = true;
  machine_->stand(lua::vm::standing::ending);
  if (site_->exit_worker < 0) {
    then();
    return;
  }
  worker_actor::run(*home_, shared_from_this(), site_->exit_worker, lua::phase::exit_worker, 0,
                    [log = site_->error_log, then = std::move(then)](const std::string& error) {
                      if (!error.empty() && log->enabled(net::log_level::error)) {
                        log->write(net::log_level::error, "exit_worker_by_lua error: " + error);
                      }
                      then();
                    });
}

void shard_release::retire() {
  if (machine_->is_exiting()) return;
  machine_->stand(lua::vm::standing::retired);
  machine_->timers().expire_all();
}

void shard_release::resume() { machine_->stand(lua::vm::standing::serving); }

void shard_release::exchange_ended() noexcept {
  release_load::add(load_->exchanges_, -1);
  if ((++looks_ & 63) != 0) return;
  look();
}

void shard_release::look() noexcept {
  const auto kilobytes = static_cast<std::uint64_t>(lua_gc(machine_->state(), LUA_GCCOUNT, 0));
  load_->lua_bytes_.store(kilobytes * 1024, std::memory_order_relaxed);
}

void shard_release::run(lua::due_timer timer) {
  timer_actor::start(*home_, shared_from_this(), std::move(timer));
}

lua::mail_address shard_release::spawn(lua::actor_start what) {
  return lua_actor::start(*home_, shared_from_this(), std::move(what));
}

void shard_release::attach(shard& home) {
  if (home_ != nullptr) return;  // It was kept warm.
  home_ = &home;
  machine_->timers().attach(*this);
  machine_->actors = this;
  if (machine_->options().max_slice_ms > 0) machine_->watch(home.slice());
  chains_.resize(static_cast<std::size_t>(site_->location_count));
  log_chains_.resize(static_cast<std::size_t>(site_->location_count));
  // A handler that many locations inherit is one actor.
  std::unordered_map<const stage_spec*, caf::strong_actor_ptr> made;
  auto build = [&](const location& place) {
    for (const auto& spec : place.stages) {
      caf::strong_actor_ptr& actor = made[spec.get()];
      if (!actor) actor = spec->spawn(home, *this);
      chain& target = spec->where == lua::phase::log
                          ? log_chains_[static_cast<std::size_t>(place.id)]
                          : chains_[static_cast<std::size_t>(place.id)];
      target.append({spec->where, actor});
    }
  };
  for (const auto& server : site_->servers) {
    build(server->defaults);
    build(server->fallback);
    for (const auto& place : server->places) build(*place);
  }
  look();
}

}  // namespace troupe::actors
