// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/push_nodes/processes.hpp"

#include "cluster/compression.hpp"
#include "cluster/lower_sockets.hpp"
#include "cluster/memory_blobs.hpp"
#include "cluster/relay.hpp"
#include "tests/bench/push_nodes/quick_host.hpp"

#include <zmq.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <fstream>
#include <thread>
#include <utility>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::bench {
namespace {

using namespace std::chrono_literals;
constexpr auto patience = 120s;

/// Something with a clock of its own beside the sockets.
class ticker final : public loop_source {
 public:
  ticker(std::function<void(instant)> tick, std::function<instant()> next)
      : tick_(std::move(tick)), next_(std::move(next)) {}
  void handles(std::vector<void*>&) const override {}
  void pump(instant now) override { tick_(now); }
  [[nodiscard]] instant next_tick() const override { return next_(); }

 private:
  std::function<void(instant)> tick_;
  std::function<instant()> next_;
};

void wait_for_the_end() {
  for (;;) pause();
}

std::unique_ptr<zap> allow_all(const world& of, const zmq_context& context) {
  auto gate = must(zap::bind(context, {}));
  zap::allow_list keys{{of.tools.public_key, link_role::tools}};
  for (const member_keys& one : of.nodes) keys.emplace(one.links.public_key, link_role::member);
  for (const member_keys& one : of.relays) keys.emplace(one.links.public_key, link_role::member);
  gate->allow(std::move(keys));
  return gate;
}

}  // namespace

child::child(const std::function<void()>& does) {
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  does();
  _exit(0);
}

child::~child() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

double child::cpu_seconds() const {
  clockid_t id = 0;
  timespec used{};
  if (clock_getcpuclockid(pid_, &id) == 0) clock_gettime(id, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

double child::resident_bytes() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void child::freeze() const {
  kill(pid_, SIGSTOP);
}
void child::thaw() const {
  kill(pid_, SIGCONT);
}

void run_controller(const world& of, shared_memory& seen) {
  raise_descriptor_limit();
  const auto context = must(zmq_context::make());
  const auto gate = allow_all(of, *context);
  const auto log = must(sqlite_log::open(of.log_path));
  memory_blobs blobs;
  std::unique_ptr<controller> leads;
  lower_sockets::options how;
  how.listen = {"127.0.0.1", 0};
  how.keys = of.leader.links;
  const auto sockets = must(lower_sockets::open(
      *context, *gate, how,
      {.on_message = [&](const peer_id& from, link_role, message what,
                         instant now) { leads->on_message(from, std::move(what), now); },
       .on_subscribed = [&](const peer_id& who, std::string_view topic,
                            instant now) { leads->on_subscribed(who, topic, now); },
       .on_unsubscribed = {},
       .on_gone = [&](const peer_id& who, instant now) { leads->on_gone(who, now); }}));
  leads = std::make_unique<controller>(of.controller_options(), *log, blobs, *sockets);
  must(leads->start(clock_now()));
  ticker ticks([&](instant now) { leads->tick(now); }, [&] { return leads->next_tick(); });
  const auto loop = must(zmq_loop::make());
  for (loop_source* one : std::initializer_list<loop_source*>{gate.get(), sockets.get(), &ticks}) {
    loop->add(*one);
  }
  seen.ports[0] = sockets->address().port;
  loop->run();
  wait_for_the_end();
}

void run_relay(const world& of, shared_memory& seen, std::size_t which) {
  raise_descriptor_limit();
  const member_keys& own = of.relays[which];
  const auto context = must(zmq_context::make());
  const auto gate = allow_all(of, *context);
  memory_log log = of.node_log();
  memory_blobs blobs;
  quick_host runtime;
  const auto loop = must(zmq_loop::make());
  std::unique_ptr<follower> node;
  std::unique_ptr<relay> hands_on;
  lower_sockets::options below;
  below.listen = {"127.0.0.1", 0};
  below.keys = own.links;
  const auto lower = must(lower_sockets::open(
      *context, *gate, below,
      {.on_message = [&](const peer_id& from, link_role, message what,
                         instant now) { hands_on->on_message(from, std::move(what), now); },
       .on_subscribed = [&](const peer_id& who, std::string_view topic,
                            instant now) { hands_on->on_subscribed(who, topic, now); },
       .on_unsubscribed = {},
       .on_gone = [&](const peer_id& who, instant now) { hands_on->on_gone(who, now); }}));
  upper_socket::options above;
  above.node = own.name;
  above.keys = own.links;
  above.is_told_what_is_ready = true;
  upper_socket upper(*context, above,
                     {.on_link =
                          [&](bool up, instant now) {
                            node->on_link(up, now, upper.took_to_link());
                          },
                      .on_announced =
                          [&](std::string_view topic, message what, instant now) {
                            hands_on->on_announced(topic, what, now);
                            node->on_announced(topic, std::move(what), now);
                          },
                      .on_message =
                          [&](message what, instant now) {
                            if (!hands_on->on_answer(what, now)) {
                              node->on_message(std::move(what), now);
                            }
                          },
                      .on_gap = {}});
  follower::options how;
  how.name = own.name;
  how.role = "relay";
  how.root = of.root();
  how.log = [](log_level, std::string_view) {};
  how.wake = [&] { loop->wake(); };
  node = std::make_unique<follower>(how, log, blobs, runtime, upper);
  hands_on =
      std::make_unique<relay>(relay::options{own.name, how.log}, *node, log, blobs, *lower, upper);
  must(node->start(clock_now()));
  upper.addresses({{{"127.0.0.1", static_cast<std::uint16_t>(seen.ports[0].load())},
                    of.leader.links.public_key}},
                  clock_now());
  ticker ticks(
      [&](instant now) {
        node->tick(now);
        hands_on->tick(now);
        if (node->is_current(now)) seen.ports[which + 1] = lower->address().port;
      },
      [&] { return std::min(node->next_tick(), hands_on->next_tick()); });
  for (loop_source* one :
       std::initializer_list<loop_source*>{gate.get(), lower.get(), &upper, &ticks}) {
    loop->add(*one);
  }
  loop->run();
  wait_for_the_end();
}

void run_hostile(const world& of, shared_memory& seen, int sockets) {
  // They would be on other machines: what they need of this one's cores is not to be what is measured.
  setpriority(PRIO_PROCESS, 0, 19);
  raise_descriptor_limit();
  // Those that are being closed still have their descriptors, which must not run out.
  const auto context = must(zmq_context::make({.max_sockets = 5 * sockets}));
  std::vector<curve_pair> keys;
  for (int i = 0; i < sockets; ++i) keys.push_back(must(curve_pair::make()));
  std::vector<void*> open(static_cast<std::size_t>(sockets), nullptr);
  const std::string port = std::to_string(seen.ports[0].load());
  for (std::size_t i = 0;; i = (i + 1) % open.size()) {
    if (open[i] != nullptr) zmq_close(std::exchange(open[i], nullptr));
    void* one = nullptr;
    while ((one = ::zmq_socket(context->handle(), ZMQ_DEALER)) == nullptr) {
      std::this_thread::sleep_for(100us);  // the ones before are being closed
    }
    open[i] = one;
    const int none = 0;
    zmq_setsockopt(one, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(one, ZMQ_CURVE_PUBLICKEY, keys[i].public_key.data(), 40);
    zmq_setsockopt(one, ZMQ_CURVE_SECRETKEY, keys[i].secret_key.data(), 40);
    zmq_setsockopt(one, ZMQ_CURVE_SERVERKEY, of.leader.links.public_key.data(), 40);
    zmq_connect(one, ("tcp://127.0.0.2:0;127.0.0.1:" + port).c_str());
    ++seen.attempts;
  }
}

// ---- who orders

orderer::orderer(const world& of, const shared_memory& seen) : context_(must(zmq_context::make())) {
  upper_socket::options how;
  how.keys = of.tools;
  link_ = std::make_unique<upper_socket>(
      *context_, how,
      upper_socket::handlers{
          .on_link = {},
          .on_announced = {},
          .on_message = [this](message what, instant) { came_.push_back(std::move(what)); },
          .on_gap = {}});
  link_->addresses({{{"127.0.0.1", static_cast<std::uint16_t>(seen.ports[0].load())},
                     of.leader.links.public_key}},
                   clock_now());
  wait_until([this] { return link_->is_up(); });
}

void orderer::wait_until(const std::function<bool()>& is_so) {
  const instant end = clock_now() + patience;
  std::vector<void*> handles;
  for (;;) {
    link_->pump(clock_now());
    if (is_so()) return;
    if (clock_now() > end) {
      std::fprintf(stderr, "push_nodes: nothing came within two minutes\n");
      std::exit(1);
    }
    handles.clear();
    link_->handles(handles);
    std::vector<zmq_pollitem_t> items;
    for (void* one : handles) items.push_back({one, 0, ZMQ_POLLIN, 0});
    zmq_poll(items.data(), static_cast<int>(items.size()), 5);
  }
}

message orderer::ask(message what) {
  const std::uint64_t number = ask_of(what);
  link_->send(what);
  std::optional<message> answer;
  wait_until([&] {
    for (message& one : came_) {
      const auto* step = std::get_if<progress>(&one);
      if (ask_of(one) == number && (step == nullptr || step->done)) answer = std::move(one);
    }
    came_.clear();
    return answer.has_value();
  });
  return *std::move(answer);
}

progress orderer::order(const signed_order& what) {
  const message answer = ask(submit{++asks_, what});
  if (const auto* done = std::get_if<progress>(&answer)) return *done;
  std::fprintf(stderr, "push_nodes: an order was answered by %s\n",
               std::string(name_of(answer)).c_str());
  std::exit(1);
}

void orderer::send(const signed_order& what) {
  link_->send(submit{++asks_, what});
}

void orderer::upload(const std::vector<std::string>& contents) {
  missing_blobs question{++asks_, {}};
  for (const std::string& one : contents) question.names.push_back(digest::of(one));
  const message answer = ask(question);
  const auto* lacks = std::get_if<missing_answer>(&answer);
  if (lacks == nullptr) return;
  for (const std::string& one : contents) {
    const digest name = digest::of(one);
    if (std::find(lacks->names.begin(), lacks->names.end(), name) == lacks->names.end()) continue;
    const std::string bytes = compress(one);
    const message stored = ask(put_blob{++asks_, name, 0, bytes.size(), bytes});
    if (const auto* put = std::get_if<put_answer>(&stored); put == nullptr || !put->problem.empty())
      std::fprintf(stderr, "push_nodes: a content was not taken\n");
  }
}

}  // namespace troupe::bench
