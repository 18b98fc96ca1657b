// SPDX-License-Identifier: Apache-2.0
#include "runtime/app_runner.hpp"

#include "runtime/app_folder.hpp"
#include "runtime/process.hpp"
#include "runtime/release_needs.hpp"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include <unistd.h>

namespace troupe {
namespace {

/// Of another process that is to take over, with an app that is loading.
constexpr std::chrono::seconds hand_over_patience{10};

using result = cluster::host::result;
using clock = std::chrono::steady_clock;

double ms_since(clock::time_point began) {
  return std::chrono::duration<double, std::milli>(clock::now() - began).count();
}

// The first that matters, as commands show it.
std::string reason_of(const diagnostics& problems) {
  const auto found = std::ranges::find_if(
      problems, [](const diagnostic& each) { return each.level < net::log_level::warn; });
  if (found != problems.end()) return text(*found);
  return problems.empty() ? "refused" : text(problems.front());
}

}  // namespace

app_runner::app_runner(parts of) : parts_(std::move(of)) {
  thread_ = std::thread([this] { run(); });
}

app_runner::~app_runner() {
  if (thread_.joinable()) {
    stop(stop_mode::fast);
    wait();
  }
}

// --- The thread ---------------------------------------------------------------------------------

void app_runner::post(job what) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(what));
  }
  changed_.notify_all();
}

void app_runner::run() {
  name_thread("app-" + parts_.app);
  for (;;) {
    job next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) break;
      next = std::move(jobs_.front());
      jobs_.pop_front();
    }
    next();
  }
  drop_prepared();
  end_node();
}

void app_runner::finish(const std::string& what, std::uint32_t release, const result& how,
                        const cluster::host::done& then) {
  {
    const std::lock_guard lock(mutex_);
    problem_ = how.refused;
  }
  // What is prepared and not refused has changed nothing yet.
  if (what != "prepare" || !how.refused.empty()) {
    parts_.audit.write(what, parts_.app + " release " + std::to_string(release),
                       {"the cluster", "cluster"}, how.refused.empty() ? "done" : how.refused,
                       parts_.log);
  }
  if (then) then(how);
}

void app_runner::prepare(std::uint32_t release, const cluster::manifest& files,
                         cluster::host::done then) {
  post([this, release, files, then = std::move(then)] {
    finish("prepare", release, prepare_now(release, files), then);
  });
}

void app_runner::activate(std::uint32_t release, const cluster::manifest& files,
                          cluster::host::done then) {
  post([this, release, files, then = std::move(then)] {
    finish("activate", release, activate_now(release, files), then);
  });
}

void app_runner::forget(std::uint32_t release) {
  post([this, release] {
    if (prepared_ && prepared_number_ == release) drop_prepared();
  });
}

void app_runner::reload() {
  post([this] {
    const view serving = now();
    if (serving.release == 0) return;
    const cluster::manifest files = serving_files_;
    drop_prepared();
    auto source = source_of(serving.release, serving.digest, files);
    if (source) {
      source->digest.clear();  // One that is still warm is not meant.
      auto prepared = running()->prepare(*source);
      if (prepared) {
        running()->activate(std::move(*prepared));
        return finish("reload", serving.release, {}, nullptr);
      }
      source = tl::unexpected(std::move(prepared.error()));
    }
    finish("reload", serving.release, {.refused = reason_of(source.error()), .took_ms = 0}, nullptr);
  });
}

// --- Releases -----------------------------------------------------------------------------------

tl::expected<release_source, diagnostics> app_runner::source_of(std::uint32_t release,
                                                                const cluster::digest& digest,
                                                                const cluster::manifest& files) {
  if (auto lacks = unmet_need(files)) return tl::unexpected(diagnostics{*std::move(lacks)});
  auto tree = parts_.store.tree(files);
  if (!tree) return tl::unexpected(diagnostics{std::move(tree.error())});
  auto found = find_app(*tree);
  if (!found) {
    return tl::unexpected(
        diagnostics{{.reason = "the app has neither nginx.conf nor conf/nginx.conf"}});
  }
  return release_source{.number = static_cast<int>(release),
                        .digest = digest.text(),
                        .prefix = found->prefix,
                        .conf = found->conf,
                        .writable_prefix = parts_.writable_prefix,
                        .app_folder = {}};
}

result app_runner::prepare_now(std::uint32_t release, const cluster::manifest& files) {
  const auto began = clock::now();
  const auto digest = files.id();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return {.refused = "the node stops", .took_ms = 0};
    if (prepared_ && prepared_number_ == release && prepared_digest_ == digest) return {};
  }
  drop_prepared();
  {
    const std::lock_guard lock(mutex_);
    if (active_ == release && active_digest_ == digest) return {};  // There is nothing to load.
    prepared_digest_ = digest;
  }
  const auto refuse = [&](const diagnostics& problems) -> result {
    const std::lock_guard lock(mutex_);
    prepared_digest_.reset();
    return {.refused = reason_of(problems), .took_ms = ms_since(began)};
  };
  auto source = source_of(release, digest, files);
  if (!source) return refuse(source.error());
  std::shared_ptr<node> target = running();
  const bool is_first = target == nullptr;
  if (is_first) {
    node_options options = parts_.options;
    options.release = *source;
    target = std::make_shared<node>(std::move(options));
    const std::lock_guard lock(mutex_);
    target->config().replace(config_version_, config_);
    node_ = target;
  }
  auto made = is_first ? target->prepare_start() : target->prepare(*source);
  if (!made) {
    if (is_first) {  // It has ended already.
      const std::lock_guard lock(mutex_);
      node_.reset();
    }
    return refuse(made.error());
  }
  prepared_.emplace(std::move(*made));
  prepared_number_ = release;
  for (const diagnostic& warning : prepared_->warnings()) {
    parts_.log.write(warning.level, parts_.app + ": " + nginx_text(warning));
  }
  return {.refused = {}, .took_ms = ms_since(began)};
}

result app_runner::activate_now(std::uint32_t release, const cluster::manifest& files) {
  if (auto prepared = prepare_now(release, files); !prepared.refused.empty()) return prepared;
  if (!prepared_) return {};  // It serves already.
  const swap_report swapped = running()->activate(std::move(*prepared_));
  prepared_.reset();
  if (!swapped.done) return {.refused = "the node stops", .took_ms = 0};
  {
    const std::lock_guard lock(mutex_);
    active_ = release;
    active_digest_ = *prepared_digest_;
    prepared_digest_.reset();
  }
  serving_files_ = files;
  if (parts_.listening) parts_.listening(parts_.app, running()->listeners());
  return {.refused = {}, .took_ms = swapped.swap_ms};
}

void app_runner::drop_prepared() {
  if (!prepared_) return;
  prepared_.reset();
  bool serves = false;
  {
    const std::lock_guard lock(mutex_);
    prepared_digest_.reset();
    serves = active_ != 0;
  }
  // A node that was made for it alone: the next release may want another number of shards.
  if (!serves) end_node();
}

void app_runner::end_node() {
  std::shared_ptr<node> ending;
  stop_mode how = stop_mode::fast;
  {
    const std::lock_guard lock(mutex_);
    ending = node_;
    if (stopping_) how = *stopping_;
  }
  if (!ending) return;
  ending->stop(how);
  ending->wait();
  const std::lock_guard lock(mutex_);
  node_.reset();
}

// --- From elsewhere -----------------------------------------------------------------------------

std::shared_ptr<node> app_runner::running() const {
  const std::lock_guard lock(mutex_);
  return node_;
}

void app_runner::config(std::uint64_t version, net::config_map values) {
  std::shared_ptr<node> target;
  {
    const std::lock_guard lock(mutex_);
    config_version_ = version;
    config_ = std::move(values);
    if (node_) node_->config().replace(config_version_, config_);
    target = node_;
  }
  if (target) target->tell_config_changed();
}

void app_runner::tell_cluster_changed() {
  if (const auto target = running()) target->tell_cluster_changed();
}

void app_runner::reopen_logs() {
  if (const auto target = running()) target->reopen_logs();
}

std::vector<listening_socket> app_runner::hand_over() {
  struct copies {
    std::mutex mutex;
    std::condition_variable made;
    std::optional<std::vector<listening_socket>> list;
    bool is_too_late = false;
  };
  const auto shared = std::make_shared<copies>();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return {};  // Its thread may have done its last job.
    jobs_.emplace_back([this, shared] {
      drop_prepared();
      const auto target = running();
      auto list = target ? target->listening_sockets() : std::vector<listening_socket>();
      const std::lock_guard guard(shared->mutex);
      if (shared->is_too_late) {
        for (const listening_socket& each : list) close(each.descriptor);
        return;
      }
      shared->list = std::move(list);
      shared->made.notify_all();
    });
  }
  changed_.notify_all();
  std::unique_lock guard(shared->mutex);
  // While it loads a release that does not end there is nothing to be had: the other process finds its
  // ports taken then, and says so.
  if (!shared->made.wait_for(guard, hand_over_patience, [&] { return shared->list.has_value(); })) {
    shared->is_too_late = true;
    return {};
  }
  return *std::move(shared->list);
}

app_runner::view app_runner::now() const {
  view seen{.app = parts_.app,
            .release = 0,
            .digest = {},
            .listeners = {},
            .live = {},
            .load = {},
            .problem = {}};
  std::shared_ptr<node> target;
  {
    const std::lock_guard lock(mutex_);
    target = node_;
    seen.release = active_;
    seen.digest = active_digest_;
    seen.problem = problem_;
  }
  if (target && seen.release != 0) {
    seen.listeners = target->listeners();
    seen.live = target->releases();
    seen.load = target->load_now();
  }
  return seen;
}

std::vector<cluster::digest> app_runner::in_use() const {
  std::vector<cluster::digest> found;
  std::shared_ptr<node> target;
  {
    const std::lock_guard lock(mutex_);
    if (prepared_digest_) found.push_back(*prepared_digest_);
    if (active_ != 0) found.push_back(active_digest_);
    target = node_;
  }
  if (target) {
    for (const live_release& each : target->releases()) {
      if (const auto name = cluster::digest::parse(each.digest)) found.push_back(*name);
    }
  }
  return found;
}

void app_runner::stop(stop_mode mode) {
  std::shared_ptr<node> target;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = mode;
    target = node_;
  }
  changed_.notify_all();
  if (target) target->stop(mode);
}

void app_runner::wait() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace troupe
