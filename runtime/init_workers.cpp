// SPDX-License-Identifier: Apache-2.0
#include "runtime/init_workers.hpp"

#include <chrono>
#include <csignal>
#include <future>

#include "actors/worker_actor.hpp"
#include "lua/slice.hpp"
#include "runtime/machine_builder.hpp"

namespace troupe {
namespace {

using clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds look_every{20};

/// The shard alone holds it: if it ends before, who waits learns it by the promise's end.
using result = std::shared_ptr<std::promise<std::string>>;
/// The VM counts in it while init_worker runs.
using counter = std::shared_ptr<lua::slice>;

// Compiled code would not look at the hook that ends it.
void compiles(lua::vm& machine, bool does) {
  luaJIT_setmode(machine.state(), 0,
                 LUAJIT_MODE_ENGINE | (does ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
}

void begin(const worker_place& place, const actors::site& site, const result& told,
           const counter& counts) {
  actors::shard& home = *place.home;
  const auto& release = place.release;
  release->attach(home);
  if (site.init_worker < 0) {
    release->machine().guard_globals();
    told->set_value({});
    return;
  }
  lua::slice* const before = release->machine().watched();
  if (site.init_timeout_ms > 0) {
    counts->init_ms = site.init_timeout_ms;
    release->machine().watch(*counts);
    compiles(release->machine(), false);
  }
  actors::worker_actor::run(
      home, release, site.init_worker, lua::phase::init_worker, site.init_timeout_ms,
      [told, counts, release, before](std::string error) {
        lua::vm& machine = release->machine();
        if (machine.watched() == counts.get()) {
          if (before != nullptr) machine.watch(*before);
          else machine.unwatch();
          lua_sethook(machine.state(), nullptr, 0, 0);
          compiles(machine, true);
        }
        machine.guard_globals();
        told->set_value(std::move(error));
      });
}

/// Ends what runs without a wait.
void interrupt(const worker_place& place, lua::slice& counts) {
  const std::uint64_t serial = counts.serial.load(std::memory_order_acquire);
  if (serial % 2 == 0) return;  // It waits, and has a timer for that.
  counts.overdue.store(serial, std::memory_order_release);
  struct sigaction action {};
  action.sa_handler = [](int) { lua::interrupt_slice(); };
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGURG, &action, nullptr);
  place.home->signal(SIGURG);
}

}  // namespace

tl::expected<void, diagnostics> run_init_workers(std::vector<worker_place> places,
                                                 const actors::site& site) {
  std::vector<counter> counters;
  std::vector<std::future<std::string>> results;
  const auto deadline = clock::now() + std::chrono::milliseconds(site.init_timeout_ms);
  for (const worker_place& place : places) {
    auto told = std::make_shared<std::promise<std::string>>();
    results.push_back(told->get_future());
    counters.push_back(std::make_shared<lua::slice>());
    place.home->post([place, &site, told, counts = counters.back()] {
      if (*place.is_stopping) return;  // The promise goes unkept.
      begin(place, site, told, counts);
    });
  }
  diagnostics problems;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool has_limit = site.init_worker >= 0 && site.init_timeout_ms > 0;
    while (has_limit && results[i].wait_for(look_every) != std::future_status::ready) {
      if (clock::now() < deadline) continue;
      for (std::size_t k = i; k < places.size(); ++k) interrupt(places[k], *counters[k]);
    }
    std::string error = "the node stops";  // A shard that has ended runs no task any more.
    try {
      error = results[i].get();
    } catch (const std::future_error&) {
    }
    if (error.empty() || !problems.empty()) continue;
    if (site.init_worker < 0) {
      problems = {{.reason = "the node does not run, or stops"}};
    } else {
      problems.push_back(
          start_problem(site.chunks[static_cast<std::size_t>(site.init_worker)], error));
    }
  }
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return {};
}

}  // namespace troupe
