// SPDX-License-Identifier: Apache-2.0
//
// Random faults on a simulated cluster, some hundreds of seeds; TROUPE_SEEDS=N runs so many. A seed
// that fails is printed; alone:
//   TROUPE_SEED=17 build/release/bin/cluster_test --gtest_filter='simulation.*'
#include "tests/cluster/simulation.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;

std::string pick(simulation& world) {
  const auto all = world.names();
  return all[world.dice(static_cast<unsigned>(all.size()))];
}

/// One thing that happens, of people or of faults.
void act(simulation& world, const simulation::options& how, bool may_promote) {
  const std::string who = pick(world);
  switch (world.dice(18)) {
    case 0:
    case 1:
    case 2:
      world.set(who, "key" + std::to_string(world.dice(4)), std::to_string(world.dice(1'000)));
      break;
    case 3:
    case 4:
    case 5: {
      push_policy policy;
      policy.prepare_deadline = 3'000ms;
      if (world.chance(0.2)) policy.require_percent = 50;
      if (world.chance(0.2)) {
        policy.canary_percent = 30;
        policy.canary_watch = 500ms;
      }
      selector to;
      if (world.chance(0.2)) to.labels["zone"] = "eu";
      world.push(who, world.chance(0.7) ? "shop" : "blog", world.dice(1'000), policy, to);
      break;
    }
    case 6:
      world.rollback(who, "shop", 1 + world.dice(3));
      break;
    case 7:
    case 8: {
      world.kill(who);
      world.after(milliseconds(1 + world.dice(3'000)), [&world, who] { world.start(who); });
      break;
    }
    case 9:
      if (auto* leader = world.leader()) world.kill_at_append(leader->name, world.chance(0.5));
      break;
    case 10:
      world.kill_at_append(who, world.chance(0.5));
      break;
    case 11: {
      const std::string other = pick(world);
      if (who == other) break;
      world.cut(who, other);
      world.after(milliseconds(100 + world.dice(6'000)),
                  [&world, who, other] { world.cut(who, other, false); });
      break;
    }
    case 12: {
      world.cut_off({who});
      world.after(milliseconds(100 + world.dice(6'000)),
                  [&world, who] { world.cut_off({who}, false); });
      break;
    }
    case 13:
      world.loss = world.chance(0.5) ? 0.2 : 0;
      world.doubling = world.chance(0.5) ? 0.2 : 0;
      world.max_delay = milliseconds(world.chance(0.3) ? 150 : 3);
      break;
    case 14: {
      auto& host = world.at(who);
      host.mode = static_cast<host_mode>(world.dice(4));
      break;
    }
    case 15:
      world.fill_disk(who, world.chance(0.5));
      break;
    case 16:
      if (world.chance(0.5)) {
        world.move(who);
      } else {
        world.sweep(who);
      }
      break;
    default:
      if (may_promote && how.leaders > 1 && world.chance(0.5)) {
        world.promote("c" + std::to_string(world.dice(how.leaders)));
      } else {
        world.jump_clock(who, milliseconds(world.dice(7'200'000)) - 3'600'000ms);
      }
  }
}

simulation::options options_of(std::uint64_t seed) {
  simulation::options how;
  how.seed = seed;
  how.leaders = 1 + seed % 3;
  how.relays = seed % 4 == 0 ? 2 : 0;
  how.nodes = 2 + seed % 3;
  how.through_relays = seed % 8 == 0;
  how.has_keys = seed % 50 == 7;
  // Where another may be promoted a log is not cut so soon that it could lose what it has to keep
  // aside.
  how.checkpoint_every = how.leaders > 1 ? 1'000 : 10;
  how.is_verbose = std::getenv("TROUPE_SEED") != nullptr;
  return how;
}

std::vector<std::string> run(std::uint64_t seed, std::uint64_t& steps) {
  const simulation::options how = options_of(seed);
  simulation world(how);
  world.run_for(2'000ms);
  const unsigned acts = 10 + world.dice(15);
  for (unsigned i = 0; i < acts; ++i) {
    act(world, how, seed % 3 != 0);
    world.run_for(milliseconds(1 + world.dice(world.chance(0.3) ? 1'500 : 100)));
  }
  world.converge();
  steps += world.steps();
  return world.problems();
}

TEST(simulation, keeps_the_invariants_under_random_faults) {
  std::uint64_t first = 1;
  std::uint64_t count = 500;
  if (const char* alone = std::getenv("TROUPE_SEED")) {
    first = std::strtoull(alone, nullptr, 10);
    count = 1;
  } else if (const char* many = std::getenv("TROUPE_SEEDS")) {
    count = std::strtoull(many, nullptr, 10);
  }
  std::uint64_t steps = 0;
  unsigned failed = 0;
  for (std::uint64_t seed = first; seed < first + count && failed < 10; ++seed) {
    const auto problems = run(seed, steps);
    for (const std::string& problem : problems) {
      ADD_FAILURE() << "TROUPE_SEED=" << seed << ": " << problem;
    }
    if (!problems.empty()) ++failed;
  }
  std::printf("%llu seeds, %llu steps\n", static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(steps));
}

}  // namespace
}  // namespace troupe::tests
