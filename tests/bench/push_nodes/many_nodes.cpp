// SPDX-License-Identifier: Apache-2.0
//
// Many nodes on one thread. zmq_poll() would look at each socket of each node in every turn; here
// epoll says which node has something.
#include "tests/bench/push_nodes/processes.hpp"

#include "cluster/follower.hpp"
#include "cluster/freed_memory.hpp"
#include "cluster/memory_blobs.hpp"
#include "tests/bench/push_nodes/quick_host.hpp"

#include <zmq.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <unordered_set>
#include <utility>

#include <sys/epoll.h>

namespace troupe::bench {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t requests_handle = 2;  // among those of an upper_socket
constexpr auto look_at_clocks_every = 20ms;

/// What a node has, its bytes held once for all nodes: each fetches and verifies its own.
class node_blobs final : public blob_source {
 public:
  explicit node_blobs(memory_blobs& bytes) : bytes_(bytes) {}
  [[nodiscard]] bool has(const digest& name) const override { return own_.contains(name); }
  [[nodiscard]] tl::expected<std::string, refusal> get(const digest& name) const override {
    return bytes_.get(name);
  }
  [[nodiscard]] tl::expected<void, refusal> put(const digest& name,
                                                std::string_view content) override {
    if (bytes_.has(name)) {
      if (digest::of(content) != name) {
        return tl::unexpected(refusal{.errc = refusal_errc::damaged, .reason = "damaged"});
      }
    } else if (auto done = bytes_.put(name, content); !done) {
      return done;
    }
    own_.insert(name);
    return {};
  }
  [[nodiscard]] tl::expected<void, refusal> flush() override { return {}; }

 private:
  memory_blobs& bytes_;
  std::unordered_set<digest> own_;
};

struct sim_node {
  explicit sim_node(memory_blobs& bytes) : blobs(bytes) {}
  std::unique_ptr<upper_socket> link;
  std::unique_ptr<follower> core;
  node_blobs blobs;
  quick_host runtime;
  /// A socket, and what epoll has for it.
  struct watch {
    sim_node* of;
    void* socket;
  };
  std::deque<watch> watches;  ///< Those of closed sockets too: epoll may have one last thing.
  std::vector<void*> watched;
  bool is_awake = false;   ///< Its host has answered.
  bool is_listed = false;  ///< Among those that are to be served.
};

struct arrival {
  sim_node* at;
  std::string topic;
  message what;
};

class many_nodes {
 public:
  many_nodes(const world& of, shared_memory& seen, std::size_t from, std::size_t to)
      : of_(of), seen_(seen), log_(of.node_log()), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    raise_descriptor_limit();
    keep_freed_memory();  // That of a thousand nodes is one heap here.
    context_ = must(zmq_context::make());
    for (std::size_t i = from; i < to; ++i) begin(of.nodes[i]);
    seen_.begun = ns_of(clock_now());
    if (seen_.all_at_once) link(nodes_.size());
  }

  [[noreturn]] void run() {
    std::vector<epoll_event> events(8'192);
    std::vector<sim_node*> ready;
    instant clocks{};
    for (;;) {
      const int wait = late_.empty() ? 5 : is_quiet() ? 0 : 1;
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait);
      for (int i = 0; i < count; ++i) {
        const auto* watched = static_cast<const sim_node::watch*>(events[i].data.ptr);
        watched->of->link->on_ready(watched->socket);
        if (!std::exchange(watched->of->is_listed, true)) ready.push_back(watched->of);
      }
      for (sim_node* one : ready) {
        one->is_listed = false;
        serve(*one);
      }
      ready.clear();
      // Whoever is handled first takes the core that the others' arrivals need.
      if (!late_.empty() && is_quiet()) {
        arrival& one = late_.front();
        one.at->core->on_announced(one.topic, std::move(one.what), clock_now());
        serve(*one.at);
        late_.pop_front();
      }
      const instant now = clock_now();
      if (now < clocks) continue;
      clocks = now + look_at_clocks_every;
      if (linked_ < nodes_.size() && seen_.served.count + 50 > static_cast<int>(linked_)) link(50);
      for (sim_node& one : nodes_) {
        if (one.core->next_tick() <= now || one.link->next_tick() <= now) serve(one);
      }
    }
  }

 private:
  [[nodiscard]] bool is_quiet() const { return clock_now() >= last_arrival_ + 2ms; }

  /// So many more connect.
  void link(std::size_t more) {
    for (; more > 0 && linked_ < nodes_.size(); --more) {
      const std::size_t relays = of_.relays.size();
      const std::size_t through = relays == 0 ? 0 : 1 + linked_ % relays;
      const member_keys& upper = relays == 0 ? of_.leader : of_.relays[through - 1];
      sim_node& one = nodes_[linked_++];
      one.link->addresses({{{"127.0.0.1", static_cast<std::uint16_t>(seen_.ports[through].load())},
                            upper.links.public_key}},
                          clock_now());
      serve(one);
    }
  }

  void begin(const member_keys& who) {
    sim_node& one = nodes_.emplace_back(bytes_);
    upper_socket::options link;
    link.node = who.name;
    link.keys = who.links;
    link.is_told_what_is_ready = true;
    one.link = std::make_unique<upper_socket>(
        *context_, link,
        upper_socket::handlers{
            .on_link =
                [&one](bool up, instant now) {
                  one.core->on_link(up, now, one.link->took_to_link());
                },
            .on_announced =
                [this, &one](std::string_view topic, message what, instant now) {
                  if (std::holds_alternative<announcement>(what)) seen_.announced.add();
                  if (seen_.arrivals_first) {
                    last_arrival_ = now;
                    late_.push_back({&one, std::string(topic), std::move(what)});
                  } else {
                    one.core->on_announced(topic, std::move(what), now);
                  }
                },
            .on_message =
                [this, &one](message what, instant now) {
                  if (std::holds_alternative<hello_answer>(what)) seen_.served.add();
                  one.core->on_message(std::move(what), now);
                },
            .on_gap = {}});
    follower::options how;
    how.name = who.name;
    how.version = "bench";
    how.root = of_.root();
    how.log = [](log_level level, std::string_view line) {
      if (level >= log_level::warn) {
        std::fprintf(stderr, "node: %.*s\n", static_cast<int>(line.size()), line.data());
      }
    };
    how.wake = [&one] { one.is_awake = true; };
    how.on_state = [this] { seen_.applied.add(); };
    one.core = std::make_unique<follower>(how, log_, one.blobs, one.runtime, *one.link);
    must(one.core->start(clock_now()));
  }

  void serve(sim_node& one) {
    do {
      one.is_awake = false;
      const instant now = clock_now();
      one.link->pump(now);
      if (one.is_awake || one.core->next_tick() <= now) one.core->tick(now);
    } while (one.is_awake || has_more(one));
  }

  /// A call that sends may take the signal that something has come: of the socket for requests.
  bool has_more(sim_node& one) {
    handles_.clear();
    one.link->handles(handles_);
    const bool is_new = handles_ != one.watched;
    if (is_new) watch(one);
    bool has = false;
    for (std::size_t i = 0; i < handles_.size(); ++i) {
      if (!is_new && i != requests_handle) continue;
      int events = 0;
      std::size_t size = sizeof events;
      zmq_getsockopt(handles_[i], ZMQ_EVENTS, &events, &size);
      if ((events & ZMQ_POLLIN) == 0) continue;
      one.link->on_ready(handles_[i]);
      has = true;
    }
    return has;
  }

  void watch(sim_node& one) {
    // Those of sockets that were closed leave by themselves.
    for (void* socket : handles_) {
      if (std::find(one.watched.begin(), one.watched.end(), socket) != one.watched.end()) continue;
      one.watches.push_back({&one, socket});
      int descriptor = -1;
      std::size_t size = sizeof descriptor;
      zmq_getsockopt(socket, ZMQ_FD, &descriptor, &size);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &one.watches.back();
      if (epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event);
      }
    }
    one.watched = handles_;
  }

  const world& of_;
  shared_memory& seen_;
  memory_log log_;  ///< One for all: it is the same history.
  memory_blobs bytes_;
  int epoll_;
  std::unique_ptr<zmq_context> context_;
  std::deque<sim_node> nodes_;
  std::size_t linked_ = 0;
  std::deque<arrival> late_;
  instant last_arrival_{};
  std::vector<void*> handles_;
};

}  // namespace

void run_nodes(const world& of, shared_memory& seen, std::size_t from, std::size_t to) {
  many_nodes(of, seen, from, to).run();
}

}  // namespace troupe::bench
