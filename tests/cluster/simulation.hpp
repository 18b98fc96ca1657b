// SPDX-License-Identifier: Apache-2.0
//
// A cluster without sockets, clocks or threads: the real followers, controllers, relays and
// takeovers, on links that lose, double, delay, reorder and are cut, on machines that are killed at
// any step and start again from their logs. All of it follows from a seed.
//
// After each event it checks what must hold always; converge() checks what must hold in the end.
//
// Source   docs/cluster.md, "Invariants".
// Thread   one.
// Errors   problems(): what was broken, in words; empty if nothing was.
// Called   by tests/cluster's simulation_test and scenario_test.
#pragma once

#include "cluster/controller.hpp"
#include "cluster/follower.hpp"
#include "cluster/memory_blobs.hpp"
#include "cluster/memory_log.hpp"
#include "cluster/relay.hpp"
#include "cluster/takeover.hpp"

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>

namespace troupe::tests {

using namespace troupe::cluster;
using milliseconds = std::chrono::milliseconds;

/// How a machine's runtime takes releases.
enum class host_mode { good, refuses, hangs, slow };

class simulation {
 public:
  struct options {
    std::uint64_t seed = 1;
    unsigned leaders = 1;  ///< Machines that may lead: the first does.
    unsigned relays = 0;
    unsigned nodes = 3;
    bool has_keys = false;
    bool through_relays = false;  ///< Nodes connect to relays only.
    std::uint64_t checkpoint_every = 1'000;
    bool is_verbose = false;
  };
  explicit simulation(options how);
  ~simulation();

  struct machine;
  /// What somebody ordered, and what they were told of it.
  struct client {
    order_id id{};
    std::string via;  ///< The machine that it talks to.
    signed_order what;
    std::map<digest, std::string> blobs;  ///< That it sends before.
    std::set<digest> to_send;
    std::uint64_t ask = 0;
    instant retry;
    std::optional<progress> last;
    bool is_done = false;
    bool gave_up = false;
    std::string problem;  ///< What it was told last.
    instant done_at;
    std::uint64_t answered_epoch = 0;  ///< Of the controller that said so; 0: not known.
  };

  // ---- what people do
  client& set(const std::string& via, const std::string& key, const std::string& value,
              selector scope = {});
  client& push(const std::string& via, const std::string& app, unsigned content,
               push_policy policy = {}, selector to = {});
  client& rollback(const std::string& via, const std::string& app, std::uint32_t release);
  client& submit(const std::string& via, const order& what,
                 std::map<digest, std::string> blobs = {});
  client& submit_signed(const std::string& via, const signed_order& what, const order_id& id);
  /// Begins a takeover there; epoch 0: the next one, as that machine knows it.
  void promote(const std::string& name, std::uint64_t epoch = 0);
  /// Hands over: the controller itself takes the order.
  client& hand_over(const std::string& via, const std::string& to);

  // ---- faults
  void kill(const std::string& name);
  void start(const std::string& name);
  /// Dies at its next append: before it is durable, or after it and before anybody hears.
  void kill_at_append(const std::string& name, bool after);
  /// Dies when its host is asked for the n-th thing from now.
  void cut(const std::string& a, const std::string& b, bool is_cut = true);
  void cut_off(const std::set<std::string>& group, bool is_cut = true);
  void fill_disk(const std::string& name, bool is_full);
  void move(const std::string& name);  ///< To the next one above.
  void sweep(const std::string& name);
  void jump_clock(const std::string& name, milliseconds by);
  void heal();
  double loss = 0;
  double doubling = 0;
  milliseconds max_delay{3};
  /// Asked of each message before it is sent; false loses it.
  std::function<bool(const std::string& from, const std::string& to, const message&)> filter;

  // ---- time
  void run_for(milliseconds time);
  bool run_until(const std::function<bool()>& what, milliseconds at_most);
  /// Whether all are at the controller's head and serve what it says.
  [[nodiscard]] bool is_converged() const;
  [[nodiscard]] std::string why_not_converged() const;
  /// Heals everything and gives it 5 s; then checks all that must hold in the end.
  void converge();

  [[nodiscard]] machine& at(const std::string& name);
  [[nodiscard]] machine* leader() const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] const std::vector<std::string>& problems() const noexcept { return problems_; }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }
  [[nodiscard]] instant now() const noexcept { return now_; }
  [[nodiscard]] std::mt19937_64& random() noexcept { return random_; }
  [[nodiscard]] unsigned dice(unsigned sides) { return static_cast<unsigned>(random_() % sides); }
  [[nodiscard]] bool chance(double p) { return static_cast<double>(random_() >> 11) * 0x1p-53 < p; }
  [[nodiscard]] order make_order(std::string app, order_body body);
  [[nodiscard]] signed_order sign(const order& what) const;
  void problem(std::string what);
  void note(const std::string& line) const;
  void after(milliseconds delay, std::function<void()> what);
  /// Straight to a machine, as if `from` had sent it.
  void deliver(const std::string& from, const std::string& to, const message& what);

  // ---- for the parts of a machine
  void from_below(machine& from, const message& what);
  void announce(machine& from, std::string_view topic, const message& what);
  void send_down(machine& from, const peer_id& to, const message& what);
  void cut_peer(machine& from, const peer_id& who);
  void connect_anew(machine& of);

 private:
  struct event {
    instant at;
    std::uint64_t number = 0;
    std::function<void()> what;
    bool operator>(const event& other) const {
      return at != other.at ? at > other.at : number > other.number;
    }
  };
  void step(instant until);
  void travel(const std::string& from, const std::string& to, const message& what,
              std::function<void(message)> arrive);
  [[nodiscard]] bool is_cut(const std::string& a, const std::string& b) const;
  void connect(machine& of);
  void lose_link(machine& of);
  /// Of the controller at the end of the links upward; 0: none.
  [[nodiscard]] std::uint64_t epoch_above(const std::string& name);
  void role(machine& of);
  void lead(machine& of, std::vector<signed_order> first);
  void follow(machine& of);
  void on_answer(machine& at, const message& what);
  void tick(machine& of);
  [[nodiscard]] instant next_tick(const machine& of) const;
  void check(machine& of);
  void check_in_the_end();
  void check_log(const machine& of);
  void tell(client& whom, const progress& how);
  void send_client(client& whom);
  void tick_clients();
  void reap();

  options how_;
  std::mt19937_64 random_;
  instant now_{std::chrono::hours(1)};
  instant proof_due_ = now_;
  instant last_time_ = now_;
  std::uint64_t same_time_ = 0;
  std::uint64_t numbers_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t orders_ = 0;
  std::uint64_t asks_ = 0;
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  std::vector<std::unique_ptr<machine>> machines_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::vector<std::unique_ptr<client>> clients_;
  std::optional<signing_key> admin_;
  std::map<public_key, trusted_key> root_;
  std::vector<std::string> problems_;
  /// What each place in history was seen to be.
  std::map<std::tuple<std::uint64_t, std::string, std::uint64_t>, digest> seen_;
  std::set<digest> ordered_manifests_;
};

/// A change log on a simulated disk: full, or that of a machine that dies.
class simulated_log : public memory_log {
 public:
  enum class death { none, before, after };
  bool is_full = false;
  death dies = death::none;
  std::function<void()> die;

  void append(const change& next, appended done) override;
  [[nodiscard]] tl::expected<void, refusal> append_all(const std::vector<change>& next) override;
};

class simulated_blobs : public memory_blobs {
 public:
  bool is_full = false;
  [[nodiscard]] tl::expected<void, refusal> put(const digest& name,
                                                std::string_view content) override;
};

struct simulation::machine : upper_link, lower_links, host {
  machine(simulation& of, std::string called) : world(of), name(std::move(called)) {}

  simulation& world;
  const std::string name;
  bool may_lead = false;
  bool is_relay = false;
  label_map labels;
  std::vector<std::string> uppers;  ///< Whom it may connect to.
  // What a crash leaves.
  simulated_log log;
  simulated_blobs blobs;
  std::optional<signing_key> key;
  milliseconds clock_off{0};
  position was_at;  ///< The furthest that it was seen at.
  std::string was_under;
  // What runs.
  bool is_up = false;
  std::uint64_t life = 0;
  bool is_dying = false;
  std::unique_ptr<troupe::cluster::follower> node;
  std::unique_ptr<troupe::cluster::controller> leads;
  std::unique_ptr<troupe::cluster::relay> relays;
  std::unique_ptr<troupe::cluster::takeover> takes_over;
  std::optional<signed_order> promotion;
  std::uint64_t lost_epoch = 0;  ///< Its own history may say for a while that it leads still.
  std::string upper;             ///< Empty: no link.
  peer_id heard_from;            ///< While an announcement is handled, on a cluster with keys.
  std::size_t next_upper = 0;
  bool is_woken = false;
  std::set<peer_id> refused_peers;
  // Its runtime.
  host_mode mode = host_mode::good;
  /// Calls, by app, that it answers when it hangs no more.
  std::vector<std::pair<std::string, std::function<void()>>> hanging;
  std::map<std::string, instant> busy_until;
  bool dies_at_prepare = false;
  bool dies_at_activate = false;
  double requests = 10;
  double errors = 0;
  std::map<std::string, std::uint32_t> serving;
  std::map<std::string, digest> serving_manifest;
  std::map<std::string, std::vector<std::uint32_t>> prepared;  ///< All that it was asked to.
  std::map<std::string, std::vector<std::uint32_t>> activated;
  std::map<std::string, std::string, std::less<>> values;

  [[nodiscard]] peer_id peer() const;
  [[nodiscard]] wall_time wall() const;

  // upper_link
  void send(const message& what) override { world.from_below(*this, what); }
  void connect_anew() override { world.connect_anew(*this); }
  [[nodiscard]] std::string_view server_key() const override { return heard_from; }
  // lower_links
  void announce(std::string_view topic, const message& what) override {
    world.announce(*this, topic, what);
  }
  void send(const peer_id& to, const message& what) override { world.send_down(*this, to, what); }
  void cut(const peer_id& who) override { world.cut_peer(*this, who); }
  // host
  void prepare(const std::string& app, std::uint32_t release, const manifest& files,
               done then) override;
  void activate(const std::string& app, std::uint32_t release, const manifest& files,
                done then) override;
  void forget(const std::string&, std::uint32_t) override {}
  void config(const std::map<std::string, std::string, std::less<>>& all, std::uint64_t) override {
    values = all;
  }
  void topic(const topic_message&) override {}
  [[nodiscard]] node_report report() const override {
    node_report result;
    result.requests_per_second = requests;
    result.errors_per_second = errors;
    return result;
  }

 private:
  void answer(const std::string& app, done then, std::string refused, std::function<void()> effect);
  void verify(const std::string& app, std::uint32_t release, const manifest& files);
};

}  // namespace troupe::tests
