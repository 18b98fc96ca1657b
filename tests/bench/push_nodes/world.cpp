// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/push_nodes/world.hpp"

#include "cluster/memory_blobs.hpp"

#include <new>

#include <sys/mman.h>

namespace troupe::bench {
namespace {

struct nobody final : lower_links {
  void announce(std::string_view, const message&) override {}
  void send(const peer_id&, const message&) override {}
  void cut(const peer_id&) override {}
};

member_keys make_keys(std::string name) {
  return {std::move(name), must(curve_pair::make()), must(signing_key::make())};
}

}  // namespace

shared_memory& shared_memory::make() {
  void* at = mmap(nullptr, sizeof(shared_memory), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::exit(1);
  return *new (at) shared_memory;
}

world::world(std::string where, int node_count, int relay_count)
    : folder(std::move(where)), leader(make_keys("c")), log_path(folder + "/cluster.db") {
  for (int i = 0; i < relay_count; ++i) relays.push_back(make_keys("r" + std::to_string(i)));
  for (int i = 0; i < node_count; ++i) nodes.push_back(make_keys("n" + std::to_string(i)));
  const auto member = [](const member_keys& who, bool binds, bool may_lead) {
    member_order what;
    what.name = who.name;
    what.curve = who.links.public_key;
    what.signing = who.signing.id();
    if (binds) what.address = "127.0.0.1:7000";
    what.may_lead = may_lead;
    return what;
  };
  std::vector<signed_order> first;
  first.push_back(order_of(member(leader, true, true), ""));
  first.push_back(order_of(promote_order{.node = leader.name, .epoch = 1}, ""));
  for (const member_keys& one : relays) first.push_back(order_of(member(one, true, false), ""));
  for (const member_keys& one : nodes) first.push_back(order_of(member(one, false, false), ""));
  run(std::move(first));
  mark();
}

signed_order world::order_of(order_body what, const std::string& app) const {
  order made;
  made.id = new_order_id();
  made.app = app;
  made.author = "bench";
  made.time = wall_now();
  made.expires = made.time + std::chrono::hours(1);
  made.body = std::move(what);
  return signed_order::make(made, admin);
}

std::map<public_key, trusted_key> world::root() const {
  return {{admin.id(), {.roles = static_cast<key_roles>(key_role::admin), .name = "bench"}}};
}

controller::options world::controller_options() const {
  controller::options how;
  how.name = leader.name;
  how.key = leader.signing;
  how.root = root();
  how.wall_clock = wall_now;
  how.log = [](log_level level, std::string_view line) {
    if (level >= log_level::warn) {
      std::fprintf(stderr, "controller: %.*s\n", static_cast<int>(line.size()), line.data());
    }
  };
  return how;
}

void world::run(std::vector<signed_order> first) {
  const auto log = must(sqlite_log::open(log_path));
  memory_blobs none;
  nobody below;
  controller one(controller_options(), *log, none, below);
  must(one.start(clock_now(), std::move(first)));
  snapshot_ = one.state().encode();
  at_ = one.state().at();
}

void world::append(std::vector<signed_order> more) {
  run(std::move(more));
}

void world::mark() {
  marked_ = snapshot_;
  marked_at_ = at_;
}

memory_log world::node_log() const {
  memory_log log;
  must(log.replace(marked_at_, marked_, {}, {}));
  return log;
}

}  // namespace troupe::bench
