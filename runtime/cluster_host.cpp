// SPDX-License-Identifier: Apache-2.0
#include "runtime/cluster_host.hpp"

#include "runtime/config_values.hpp"
#include "runtime/listener_url.hpp"
#include "runtime/node_config.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

namespace troupe {
namespace {

namespace fs = std::filesystem;

// Rates are over at least so long, however often somebody asks.
constexpr std::chrono::milliseconds shortest_sample{900};
// Heard within three beacons.
constexpr std::chrono::milliseconds live_for{3500};

// An app's name as a folder's: the order checks names, this only trusts nobody.
std::string folder_name(const std::string& app) {
  std::string name;
  for (const char c : app) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || (c == '.' && !name.empty());
    name += plain ? c : '_';
  }
  return name.empty() ? "_" : name;
}

}  // namespace

cluster_host::cluster_host(parts of) : parts_(std::move(of)) {
  config_.replace(0, with_own({}));
}

cluster_host::~cluster_host() {
  stop(stop_mode::fast);
  wait();
}

// --- Apps ---------------------------------------------------------------------------------------

// Where it stands among the apps that this node has had, so that its ports stay when others come and
// go.
unsigned cluster_host::place_of(const std::string& app) const {
  const std::string folder = parts_.data_folder + "/apps";
  std::error_code error;
  fs::create_directories(folder + '/' + folder_name(app) + "/logs", error);
  const std::string path = folder + '/' + folder_name(app) + "/place";
  unsigned place = 0;
  if (std::ifstream(path) >> place) return place;
  unsigned next = 0;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    unsigned taken = 0;
    if (std::ifstream(at->path() / "place") >> taken) next = std::max(next, taken + 1);
  }
  std::ofstream(path) << next << '\n';
  return next;
}

app_runner& cluster_host::runner(const std::string& app) {
  const std::lock_guard lock(mutex_);
  auto& one = runners_[app];
  if (!one) {
    node_options options = parts_.options;
    options.cluster = parts_.scripts;
    const unsigned place = place_of(app);
    if (options.port && *options.port != 0) {
      options.port = static_cast<std::uint16_t>(*options.port + place);
    }
    std::erase_if(parts_.inherited, [&](listening_socket& each) {
      if (app_of(each) != app) return false;
      options.inherited.push_back({each.address.substr(app.size() + 1), each.descriptor});
      return true;
    });
    one = std::make_unique<app_runner>(app_runner::parts{
        .app = app,
        .store = parts_.store,
        .audit = parts_.audit,
        .log = parts_.log,
        .options = std::move(options),
        .writable_prefix = parts_.data_folder + "/apps/" + folder_name(app) + '/',
        .listening = parts_.listening});
    one->config(config_.version(), config_.now()->values);
    if (has_stopped_) one->stop(how_);
  }
  return *one;
}

std::vector<app_runner*> cluster_host::runners() const {
  std::vector<app_runner*> all;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, one] : runners_) all.push_back(one.get());
  return all;
}

void cluster_host::prepare(const std::string& app, std::uint32_t release,
                           const cluster::manifest& files, done then) {
  runner(app).prepare(release, files, std::move(then));
}

void cluster_host::activate(const std::string& app, std::uint32_t release,
                            const cluster::manifest& files, done then) {
  runner(app).activate(release, files, std::move(then));
}

void cluster_host::forget(const std::string& app, std::uint32_t release) {
  runner(app).forget(release);
}

std::vector<app_runner::view> cluster_host::apps() const {
  std::vector<app_runner::view> all;
  for (const app_runner* each : runners()) all.push_back(each->now());
  return all;
}

std::vector<cluster::digest> cluster_host::in_use() const {
  std::vector<cluster::digest> all;
  for (const app_runner* each : runners()) {
    const auto some = each->in_use();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

// --- Config values ------------------------------------------------------------------------------

net::config_map cluster_host::with_own(net::config_map values) const {
  for (const auto& [key, text] : parts_.options.values) {
    values.insert_or_assign(key, to_live(config_from_text(text), 0));
  }
  return values;
}

std::optional<std::string> cluster_host::own_value(const std::string& key) const {
  const auto found = parts_.options.values.find(key);
  return found == parts_.options.values.end() ? std::nullopt : std::optional(found->second);
}

void cluster_host::config(const std::map<std::string, std::string, std::less<>>& values,
                          std::uint64_t version) {
  {
    const std::lock_guard lock(mutex_);
    net::config_map next;
    for (const auto& [key, bytes] : values) {
      const auto value = decode_config(bytes);
      if (!value) {
        parts_.log.write(net::log_level::error, "config value " + key + " is of no known type");
        continue;
      }
      net::config_value live = to_live(*value, version);
      // What has not changed keeps its version: nobody who watches it is called.
      if (const auto old = shared_.find(key);
          old != shared_.end() && old->second.type == live.type && old->second.text == live.text) {
        live.version = old->second.version;
      }
      next.emplace(key, std::move(live));
    }
    shared_ = next;
    config_.replace(version, with_own(std::move(next)));
  }
  changed_.notify_all();
  for (app_runner* each : runners()) each->config(version, config_.now()->values);
}

void cluster_host::wait_config(std::uint64_t seen, std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return config_.version() != seen; });
}

// --- The cluster, for scripts -------------------------------------------------------------------

void cluster_host::topic(const cluster::topic_message& what) {
  if (!parts_.scripts) return;
  parts_.scripts->add(what.topic, what.from, what.payload);
  for (app_runner* each : runners()) each->tell_cluster_changed();
}

void cluster_host::nodes(const std::vector<cluster::node_report>& all) {
  if (!parts_.scripts) return;
  // By the clock of who heard them last, for there may be none of ours that agrees.
  cluster::wall_time newest{};
  for (const auto& each : all) newest = std::max(newest, each.heard);
  std::vector<net::cluster_member> members;
  for (const auto& each : all) {
    net::cluster_member one{.name = each.name,
                            .role = each.role,
                            .version = each.version,
                            .address = each.address,
                            .serves = each.serves,
                            .labels = each.labels,
                            .releases = {},
                            .live = newest - each.heard < live_for,
                            .problem = each.problem,
                            .epoch = each.at.epoch,
                            .seq = each.at.seq,
                            .requests_per_second = each.requests_per_second,
                            .errors_per_second = each.errors_per_second};
    one.releases.insert(each.active.begin(), each.active.end());
    members.push_back(std::move(one));
  }
  std::ranges::sort(members, {}, &net::cluster_member::name);
  if (!parts_.scripts->replace(std::move(members))) return;
  for (app_runner* each : runners()) each->tell_cluster_changed();
}

cluster::node_report cluster_host::report() const {
  cluster::node_report said;
  sample now{.when = std::chrono::steady_clock::now(), .requests = 0, .errors = 0};
  for (const app_runner::view& each : apps()) {
    now.requests += each.load.requests;
    now.errors += each.load.errors;
    if (each.release != 0) said.active[each.app] = each.release;
    if (said.serves.empty() && !each.listeners.empty()) said.serves = url_of(each.listeners.front());
    if (said.problem.empty() && !each.problem.empty()) said.problem = each.app + ": " + each.problem;
  }
  const std::lock_guard lock(sampling_);
  const auto passed = now.when - before_.when;
  if (before_.when == decltype(before_.when){}) {
    before_ = now;
  } else if (passed >= shortest_sample) {
    const double seconds = std::chrono::duration<double>(passed).count();
    const auto rate = [&](std::uint64_t from, std::uint64_t to) {
      return to < from ? 0.0 : static_cast<double>(to - from) / seconds;  // An app has gone.
    };
    requests_per_second_ = rate(before_.requests, now.requests);
    errors_per_second_ = rate(before_.errors, now.errors);
    before_ = now;
  }
  said.requests_per_second = requests_per_second_;
  said.errors_per_second = errors_per_second_;
  return said;
}

// --- The end ------------------------------------------------------------------------------------

void cluster_host::reload() {
  for (app_runner* each : runners()) each->reload();
}

void cluster_host::reopen_logs() {
  for (app_runner* each : runners()) each->reopen_logs();
}

std::vector<listening_socket> cluster_host::hand_over() {
  std::vector<listening_socket> all;
  for (app_runner* each : runners()) {
    const std::string app = each->now().app;
    for (listening_socket& one : each->hand_over()) {
      all.push_back({app + ' ' + one.address, one.descriptor});
    }
  }
  return all;
}

std::string cluster_host::app_of(const listening_socket& handed_over) {
  return handed_over.address.substr(0, handed_over.address.find(' '));
}

void cluster_host::stop(stop_mode mode) {
  {
    const std::lock_guard lock(mutex_);
    has_stopped_ = true;
    how_ = mode;
  }
  for (app_runner* each : runners()) each->stop(mode);
  changed_.notify_all();
}

int cluster_host::wait() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return has_stopped_; });
  }
  for (app_runner* each : runners()) each->wait();
  return 0;
}

}  // namespace troupe
