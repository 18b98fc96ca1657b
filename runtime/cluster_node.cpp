// SPDX-License-Identifier: Apache-2.0
#include "troupe/cluster_node.hpp"

#include "cluster/agent.hpp"
#include "runtime/admin_server.hpp"
#include "runtime/agent_way.hpp"
#include "runtime/cluster_api.hpp"
#include "runtime/cluster_host.hpp"
#include "runtime/data_folder.hpp"
#include "runtime/folder_push.hpp"
#include "runtime/inheritance.hpp"
#include "runtime/log_file.hpp"
#include "runtime/log_sink.hpp"
#include "runtime/process.hpp"
#include "runtime/socket_aside.hpp"
#include "runtime/stored_blobs.hpp"
#include "runtime/upgrade.hpp"
#include "runtime/versions.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace troupe {
namespace {

using net::log_level;

constexpr std::chrono::seconds list_every{1};
constexpr std::chrono::minutes sweep_every{10};
/// For the apps of the process before; that one waits for a minute.
constexpr std::chrono::seconds serve_within{50};
/// The readiness endpoint's name among the sockets that are handed over. Those of apps have a space.
constexpr const char* ready_name = "ready";

log_level level_of(cluster::log_level level) {
  switch (level) {
    case cluster::log_level::debug:
      return log_level::debug;
    case cluster::log_level::info:
      return log_level::info;
    case cluster::log_level::notice:
      return log_level::notice;
    case cluster::log_level::warn:
      return log_level::warn;
    case cluster::log_level::error:
      return log_level::error;
  }
  return log_level::error;
}

diagnostics failed(const cluster::refusal& why) { return {{.reason = why.reason}}; }

std::string control_path(const data_folder& data) { return data.path() + "/control.sock"; }

}  // namespace

/// What is around the agent, made one after the other and ended in reverse.
struct cluster_node::impl {
  explicit impl(cluster_node_options given) : options(std::move(given)) {
    const log_level level = options.log_level.value_or(log_level::notice);
    log = std::make_shared<log_sink>(std::vector<log_sink::target>{{*files.open("stderr"), level}});
  }

  tl::expected<void, diagnostics> start();
  tl::expected<void, diagnostics> serve_all(const std::set<std::string>& apps);
  void allow_upgrades();
  [[nodiscard]] std::vector<listening_socket> hand_over();
  void take_part_again();
  void lead_scripts();
  void tell(const cluster::topic_message& what);
  void work();
  void refresh_list();
  void sweep();

  /// Between the cluster and the real host: C++ subscribers hear, too.
  class hearing_host;

  cluster_node_options options;
  log_files files;
  std::shared_ptr<log_sink> log;
  std::optional<data_folder> data;
  std::optional<release_store> store;
  std::optional<audit_log> audit;
  std::shared_ptr<net::live_cluster> scripts;
  std::optional<stored_blobs> blobs;
  std::optional<cluster_host> host;
  std::unique_ptr<hearing_host> hearing;
  std::unique_ptr<cluster::agent> agent;
  std::optional<agent_way> way;
  std::optional<troupe::upgrade> upgrading;  // Not the function of that name.
  std::optional<cluster_api> api;
  std::optional<admin_server> control;
  std::optional<admin_server> health;

  std::atomic<bool> is_out = false;  ///< No other process took over, and the agent has not come back.

  // The worker: pushes, the list of nodes, sweeping.
  std::mutex mutex;  ///< Guards what follows.
  std::condition_variable changed;
  bool is_ending = false;
  std::deque<std::pair<net::cluster_push, std::function<void(std::string)>>> pushes;
  std::vector<std::function<void(const std::vector<net::cluster_member>&)>> on_change;
  std::multimap<std::string, std::function<void(std::string_view, std::string_view)>, std::less<>>
      subscribers;
  std::thread worker;
  std::thread pusher;
};

class cluster_node::impl::hearing_host final : public cluster::host {
 public:
  explicit hearing_host(impl& of) : of_(of) {}
  void prepare(const std::string& app, std::uint32_t release, const cluster::manifest& files,
               done then) override {
    of_.host->prepare(app, release, files, std::move(then));
  }
  void activate(const std::string& app, std::uint32_t release, const cluster::manifest& files,
                done then) override {
    of_.host->activate(app, release, files, std::move(then));
  }
  void forget(const std::string& app, std::uint32_t release) override {
    of_.host->forget(app, release);
  }
  void config(const std::map<std::string, std::string, std::less<>>& values,
              std::uint64_t version) override {
    of_.host->config(values, version);
  }
  void topic(const cluster::topic_message& what) override {
    of_.host->topic(what);
    of_.tell(what);
  }
  [[nodiscard]] cluster::node_report report() const override { return of_.host->report(); }

 private:
  impl& of_;
};

tl::expected<void, diagnostics> cluster_node::impl::start() {
  const bool takes_over = options.predecessor != nullptr && options.predecessor->is_there();
  auto taken = takes_over ? data_folder::inherit(options.data, options.predecessor->take_lock())
                          : data_folder::take(options.data);
  if (!taken) return tl::unexpected(diagnostics{taken.error()});
  data.emplace(std::move(*taken));
  auto opened = release_store::open(data->path());
  if (!opened) return tl::unexpected(diagnostics{opened.error()});
  store.emplace(std::move(*opened));
  auto audited = audit_log::open(data->path());
  if (!audited) return tl::unexpected(diagnostics{audited.error()});
  audit.emplace(std::move(*audited));
  scripts = std::make_shared<net::live_cluster>(options.name);
  blobs.emplace(store->blobs());
  std::vector<listening_socket> inherited;
  std::set<std::string> apps;  // Of the process before.
  net::unique_fd health_socket;
  if (takes_over) inherited = options.predecessor->take_sockets();
  std::erase_if(inherited, [&](const listening_socket& given) {
    if (given.address != ready_name) {
      apps.insert(cluster_host::app_of(given));
      return false;
    }
    health_socket.reset(given.descriptor);
    return true;
  });
  node_options each;
  each.name = options.name;
  each.data = data->path();
  each.port = options.port;
  each.shards = options.shards;
  each.log_level = options.log_level;
  each.values = options.values;
  each.modules = options.modules;
  host.emplace(cluster_host::parts{.store = *store,
                                   .audit = *audit,
                                   .log = *log,
                                   .options = std::move(each),
                                   .data_folder = data->path(),
                                   .listening = options.listening,
                                   .scripts = scripts,
                                   .inherited = std::move(inherited)});
  hearing = std::make_unique<hearing_host>(*this);
  auto begun = cluster::agent::start(
      {.name = options.name,
       .data_folder = data->path(),
       .key_folder = options.key_folder,
       .token = options.token,
       .listen = options.listen,
       .join = options.join,
       .is_controller = options.is_controller,
       .is_relay = options.is_relay,
       .store = options.store,
       .labels = options.labels,
       .version = std::string(troupe_version()),
       .log =
           [this](cluster::log_level level, std::string_view text) {
             log->write(level_of(level), text);
           }},
      *blobs, *hearing);
  if (!begun) return tl::unexpected(failed(begun.error()));
  agent = std::move(*begun);
  way.emplace(*agent, store->blobs(), options.name);
  allow_upgrades();
  lead_scripts();
  api.emplace(cluster_api::parts{.way = *way,
                                 .name = options.name,
                                 .host = &*host,
                                 .audit = &*audit,
                                 .log = &*log,
                                 .stands = [this] { return agent->stands(); },
                                 .labels = options.labels,
                                 .address = agent->address(),
                                 .upgrading = upgrading ? &*upgrading : nullptr});
  if (auto served = serve_all(apps); !served) return served;
  if (!options.ready.empty()) {
    auto answering = admin_server::open_tcp(options.ready, [this](const admin_request& asked) {
      return asked.path == "/" || asked.path == "/ready" || asked.path == "/v1/ready"
                 ? api->ready()
                 : admin_response{.status = 404, .body = "{\"error\":\"unknown_path\"}\n", .stream = {}};
    }, std::move(health_socket));
    if (!answering) return tl::unexpected(diagnostics{answering.error()});
    health.emplace(std::move(*answering));
  }
  auto listening = admin_server::open(
      control_path(*data),
      [this](const admin_request& asked) { return api->answer(asked); });
  if (!listening) return tl::unexpected(diagnostics{listening.error()});
  control.emplace(std::move(*listening));
  if (takes_over) {
    if (auto owned = data->own(); !owned) return tl::unexpected(diagnostics{owned.error()});
  }
  worker = std::thread([this] { work(); });
  return {};
}

// --- Another process takes over -----------------------------------------------------------------

// What the process before served is to be served before that one leaves.
tl::expected<void, diagnostics> cluster_node::impl::serve_all(const std::set<std::string>& apps) {
  const auto deadline = std::chrono::steady_clock::now() + serve_within;
  for (;;) {
    std::set<std::string> lacking = apps;
    for (const app_runner::view& each : host->apps()) {
      if (each.release != 0) {
        lacking.erase(each.app);
      } else if (lacking.contains(each.app) && !each.problem.empty()) {
        return tl::unexpected(diagnostics{{.reason = each.app + ": " + each.problem}});
      }
    }
    if (lacking.empty()) return {};
    if (std::chrono::steady_clock::now() > deadline) {
      return tl::unexpected(diagnostics{{.reason = "app " + *lacking.begin() + " does not serve within " +
                                                   std::to_string(serve_within.count()) + " s"}});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// The ports of the cluster and its history on the disk are one process's: this one leaves the cluster
// before the other one starts, and serves its apps meanwhile.
void cluster_node::impl::allow_upgrades() {
  if (options.started_as == nullptr) return;
  const socket_aside aside(control_path(*data));
  upgrading.emplace(
      *options.started_as,
      troupe::upgrade::parts{.sockets = [this] { return hand_over(); },
                     .lock = data->lock(),
                     .before = [this, aside]() -> tl::expected<void, diagnostic> {
                       if (auto begun = aside.begin(); !begun) return begun;
                       agent->pause();
                       return {};
                     },
                     .done =
                         [this, aside] {
                           aside.end();
                           data->give_away();
                           health.reset();  // It would answer for a node that leaves.
                           host->stop(stop_mode::handed_over);
                         },
                     .failed =
                         [this, aside] {
                           aside.undo();
                           if (auto owned = data->own(); !owned) {
                             log->write(log_level::error, text(owned.error()));
                           }
                           take_part_again();
                         },
                     .deserted = {},
                     .audit = &*audit,
                     .log = [this]() -> const net::log_context& { return *log; }});
}

std::vector<listening_socket> cluster_node::impl::hand_over() {
  std::vector<listening_socket> all = host->hand_over();
  if (health) {
    if (net::unique_fd copy = health->copy()) all.push_back({ready_name, copy.release()});
  }
  return all;
}

void cluster_node::impl::take_part_again() {
  const auto again = agent->resume();
  if (!again && !is_out) {
    log->write(log_level::error, "cluster: this node is out, and tries again each second: " +
                                     again.error().reason);
  }
  is_out = !again;
}

// --- Scripts ------------------------------------------------------------------------------------

void cluster_node::impl::lead_scripts() {
  scripts->lead_to(
      {.publish = [this](std::string topic,
                         std::string payload) { agent->publish(std::move(topic), std::move(payload)); },
       .subscribe = [this](std::string topic) { agent->subscribe(std::move(topic)); },
       .unsubscribe = [this](std::string topic) { agent->unsubscribe(std::move(topic)); },
       .push =
           [this](net::cluster_push what, std::function<void(std::string)> done) {
             const std::lock_guard lock(mutex);
             pushes.emplace_back(std::move(what), std::move(done));
             changed.notify_all();
           }});
  pusher = std::thread([this] {
    name_thread("push");
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return is_ending || !pushes.empty(); });
      if (pushes.empty()) return;
      auto [what, done] = std::move(pushes.front());
      pushes.pop_front();
      bool stops = is_ending;
      lock.unlock();
      std::shared_lock<std::shared_mutex> change;
      if (upgrading && !stops) stops = !(change = upgrading->change());
      done(stops ? R"({"error":"stopping","reason":"the node stops"})"
                 : push_folder(*way, what, options.key_folder, "node " + options.name, [this] {
                     const std::lock_guard guard(mutex);
                     return !is_ending;
                   }));
      lock.lock();
    }
  });
}

void cluster_node::impl::tell(const cluster::topic_message& what) {
  std::vector<std::function<void(std::string_view, std::string_view)>> told;
  {
    const std::lock_guard lock(mutex);
    const auto [first, last] = subscribers.equal_range(what.topic);
    for (auto each = first; each != last; ++each) told.push_back(each->second);
  }
  for (const auto& each : told) each(what.payload, what.from);
}

// --- The worker ---------------------------------------------------------------------------------

void cluster_node::impl::work() {
  name_thread("cluster-work");
  auto sweep_at = std::chrono::steady_clock::now() + sweep_every;
  for (;;) {
    {
      std::unique_lock lock(mutex);
      if (changed.wait_for(lock, list_every, [this] { return is_ending; })) return;
    }
    if (is_out) {
      // Not while another process is being started, which takes part in its place.
      std::shared_lock<std::shared_mutex> change;
      if (!upgrading || (change = upgrading->change())) take_part_again();
    }
    refresh_list();
    if (std::chrono::steady_clock::now() < sweep_at) continue;
    sweep();
    sweep_at = std::chrono::steady_clock::now() + sweep_every;
  }
}

// Only where somebody looks: the list of a thousand nodes is not for a thousand nodes each second.
void cluster_node::impl::refresh_list() {
  bool wanted = scripts->is_watched();
  {
    const std::lock_guard lock(mutex);
    wanted = wanted || !on_change.empty();
  }
  if (!wanted) return;
  const auto answer = way->query("nodes", cluster_way::usual_wait);
  if (!answer) return;
  const auto before = scripts->now();
  host->nodes(answer->nodes);
  const auto now = scripts->now();
  if (now->version == before->version) return;
  std::vector<std::function<void(const std::vector<net::cluster_member>&)>> told;
  {
    const std::lock_guard lock(mutex);
    told = on_change;
  }
  for (const auto& each : told) each(now->list);
}

// What no release of the history refers to any more.
void cluster_node::impl::sweep() {
  std::shared_lock<std::shared_mutex> change;
  // The other process knows what is referred to.
  if (upgrading && !(change = upgrading->change())) return;
  if (!blobs->may_sweep(std::chrono::steady_clock::now())) return;
  const auto state = agent->state();
  std::set<cluster::digest> trees;
  std::unordered_set<cluster::digest> contents;
  const auto in_use = host->in_use();
  trees.insert(in_use.begin(), in_use.end());
  for (const auto& [name, app] : state->apps()) {
    for (const auto& [number, release] : app.releases) {
      contents.insert(release.manifest);
      const auto bytes = store->blobs().get(release.manifest);
      if (!bytes) continue;  // Not on this node.
      const auto files_of = cluster::manifest::decode(*bytes);
      if (!files_of) continue;
      for (const auto& each : files_of->files) contents.insert(each.content);
    }
  }
  if (auto done = store->sweep(trees, contents); !done) {
    log->write(log_level::warn, "old releases stay: " + text(done.error()));
  }
}

// --- The node -----------------------------------------------------------------------------------

cluster_node::cluster_node(std::unique_ptr<impl> made) : impl_(std::move(made)) {}

tl::expected<std::unique_ptr<cluster_node>, diagnostics> cluster_node::start(
    cluster_node_options options) {
  std::unique_ptr<cluster_node> made(
      new cluster_node(std::make_unique<impl>(std::move(options))));
  if (auto started = made->impl_->start(); !started) return tl::unexpected(started.error());
  return made;
}

cluster_node::~cluster_node() {
  impl& self = *impl_;
  // Whoever is being answered may use all that comes after.
  self.control.reset();
  self.health.reset();
  {
    const std::lock_guard lock(self.mutex);
    self.is_ending = true;
  }
  self.changed.notify_all();
  if (self.worker.joinable()) self.worker.join();
  if (self.pusher.joinable()) self.pusher.join();
  if (self.scripts) self.scripts->lead_to({});
  // Scripts may be on their way to the agent until they have ended, and its thread calls the host until
  // it has.
  if (self.host) {
    self.host->stop(stop_mode::fast);
    self.host->wait();
  }
  self.way.reset();
  self.agent.reset();
  self.host.reset();
}

void cluster_node::stop(stop_mode mode) { impl_->host->stop(mode); }
int cluster_node::wait() { return impl_->host->wait(); }

void cluster_node::reload() {
  std::shared_lock<std::shared_mutex> change;
  if (impl_->upgrading && !(change = impl_->upgrading->change())) {
    return impl_->log->write(log_level::error, "another process of this node takes over");
  }
  impl_->host->reload();
}

void cluster_node::upgrade() {
  if (!impl_->upgrading) return;
  [[maybe_unused]] const auto logged = impl_->upgrading->perform({}, {impl_->options.name, "USR2"});
}

void cluster_node::reopen_logs() {
  impl_->host->reopen_logs();
  for (const diagnostic& problem : impl_->files.reopen()) {
    impl_->log->write(problem.level, problem.reason);
  }
}

const net::log_context& cluster_node::log() const { return *impl_->log; }
std::string cluster_node::address() const { return impl_->agent->address(); }

std::vector<net::cluster_member> cluster_node::nodes() const {
  impl_->scripts->watch();
  return impl_->scripts->now()->list;
}

void cluster_node::on_change(std::function<void(const std::vector<net::cluster_member>&)> told) {
  const std::lock_guard lock(impl_->mutex);
  impl_->on_change.push_back(std::move(told));
}

void cluster_node::publish(std::string topic, std::string message) {
  impl_->agent->publish(std::move(topic), std::move(message));
}

void cluster_node::subscribe(std::string topic,
                             std::function<void(std::string_view, std::string_view)> told) {
  impl_->scripts->subscribe(topic);
  const std::lock_guard lock(impl_->mutex);
  impl_->subscribers.emplace(std::move(topic), std::move(told));
}

void cluster_node::push(net::cluster_push what, std::function<void(std::string)> done) {
  const std::lock_guard lock(impl_->mutex);
  impl_->pushes.emplace_back(std::move(what), std::move(done));
  impl_->changed.notify_all();
}

}  // namespace troupe
