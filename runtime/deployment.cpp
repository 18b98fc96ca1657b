// SPDX-License-Identifier: Apache-2.0
#include "runtime/deployment.hpp"

#include <chrono>
#include <set>
#include <thread>

#include "runtime/app_folder.hpp"
#include "runtime/release_needs.hpp"

namespace troupe {
namespace {

// The folder's files, their contents in the store.
tl::expected<cluster::manifest, cluster::refusal> take_folder(release_store& store,
                                                              const std::string& folder) {
  return read_app(folder, [&](const cluster::digest& name, std::string_view content) {
    return store.blobs().put(name, content);
  });
}

tl::expected<release_source, diagnostic> source_of(release_store& store,
                                                   const deployment::places& where,
                                                   const cluster::manifest& files,
                                                   const cluster::digest& digest, int number) {
  if (auto lacks = unmet_need(files)) return tl::unexpected(*std::move(lacks));
  auto tree = store.tree(files);
  if (!tree) return tl::unexpected(tree.error());
  auto app = find_app(*tree);
  if (!app) {
    return tl::unexpected(
        diagnostic{.reason = "the app has neither nginx.conf nor conf/nginx.conf"});
  }
  return release_source{.number = number,
                        .digest = digest.text(),
                        .prefix = app->prefix,
                        .conf = app->conf,
                        .writable_prefix = where.writable_prefix,
                        .app_folder = where.app_folder};
}

bool is_of_the_disk(const cluster::refusal& why) {
  return why.errc == cluster::refusal_errc::io || why.errc == cluster::refusal_errc::damaged;
}

}  // namespace

std::string_view text(deploy_errc error) noexcept {
  switch (error) {
    case deploy_errc::check_failed:
      return "check_failed";
    case deploy_errc::overtaken:
      return "overtaken";
    case deploy_errc::storage_failed:
      return "storage_failed";
    case deploy_errc::unknown_release:
      return "unknown_release";
    case deploy_errc::missing_contents:
      return "missing_contents";
    case deploy_errc::stopping:
      return "stopping";
  }
  return "failed";
}

deployment::deployment(node& target, release_store& store, audit_log& audit, places where,
                       std::size_t keep)
    : node_(target), store_(store), audit_(audit), where_(std::move(where)), keep_(keep),
      pruner_([this](const std::stop_token& stop) { prune_now(stop); }) {}

tl::expected<deployment::start, diagnostic> deployment::start_from(release_store& store,
                                                                   const places& where) {
  const auto active = store.active();
  if (!active) return tl::unexpected(active.error());
  if (where.app_folder.empty()) return go_on_from(store, where);
  start made;
  const auto held = store.blobs().keep_all();
  const auto files = take_folder(store, where.app_folder);
  if (!files) return tl::unexpected(to_diagnostic(files.error()));
  const cluster::digest digest = files->id();
  int number = *active ? (*active)->number : 0;
  if (!*active || (*active)->digest != digest) {
    const auto known = store.list();
    if (!known) return tl::unexpected(known.error());
    made.draft = release_draft{.manifest = *files,
                               .author = {},
                               .message = {},
                               .parent = number,
                               .time = std::chrono::system_clock::now()};
    number =
        known->empty() ? 1 : known->front().number + 1;  // Nobody else commits: the lock is ours.
  }
  auto source = source_of(store, where, *files, digest, number);
  if (!source) return tl::unexpected(source.error());
  made.source = std::move(*source);
  return made;
}

tl::expected<deployment::start, diagnostic> deployment::go_on_from(release_store& store,
                                                                   const places& where) {
  const auto active = store.active();
  if (!active) return tl::unexpected(active.error());
  if (!*active) {
    return tl::unexpected(diagnostic{.reason = "the data folder holds no release yet",
                                     .hint = "`troupe run PATH` serves an app folder"});
  }
  const int number = (*active)->number;
  const auto files = store.manifest_of(number);
  if (!files) return tl::unexpected(files.error());
  auto source = source_of(store, where, *files, (*active)->digest, number);
  if (!source) return tl::unexpected(source.error());
  return start{.source = std::move(*source), .draft = {}};
}

// Nothing is pruned: the other process may still have older trees in use.
void deployment::went_on(const start& with) const {
  audit_.write("start", "release " + std::to_string(with.source.number), {"", "upgrade"}, "done",
               node_.log());
}

tl::expected<void, diagnostic> deployment::started(const start& with) {
  const std::lock_guard lock(changing_);
  const change_author by{with.draft ? with.draft->author : "", "start"};
  if (with.draft) {
    const auto committed = store_.commit(*with.draft);
    if (!committed) return tl::unexpected(committed.error().problem);
  }
  audit_.write("start", "release " + std::to_string(with.source.number), by, "done", node_.log());
  return {};
}

deploy_refusal deployment::refuse(deploy_errc error, diagnostics problems) const {
  const auto now = store_.active();
  return {error, std::move(problems), now && *now ? (*now)->number : 0};
}

tl::expected<int, deploy_refusal> deployment::active(std::optional<int> expect) const {
  const auto record = store_.active();
  if (!record) return tl::unexpected(refuse(deploy_errc::storage_failed, {record.error()}));
  const int number = *record ? (*record)->number : 0;
  if (expect && *expect != number) {
    return tl::unexpected(
        refuse(deploy_errc::overtaken,
               {{.reason = "release " + std::to_string(number) + " is active, not " +
                           std::to_string(*expect) + ": someone else was first",
                 .hint = "`troupe releases` shows who; `troupe diff` what they changed"}}));
  }
  return number;
}

tl::expected<release_source, deploy_refusal> deployment::lay_out(const cluster::manifest& files,
                                                                 const cluster::digest& digest,
                                                                 int number) const {
  for (const cluster::manifest_file& file : files.files) {
    if (!store_.blobs().has(file.content)) {
      return tl::unexpected(refuse(deploy_errc::missing_contents,
                                   {{.file = file.path, .reason = "its content was not sent"}}));
    }
  }
  auto source = source_of(store_, where_, files, digest, number);
  if (source) return *source;
  const bool has_conf =
      files.find("nginx.conf") != nullptr || files.find("conf/nginx.conf") != nullptr;
  const bool is_the_disks = has_conf && !unmet_need(files);
  return tl::unexpected(refuse(
      is_the_disks ? deploy_errc::storage_failed : deploy_errc::check_failed, {source.error()}));
}

deploy_result deployment::apply(deploy_order order) {
  const std::lock_guard lock(changing_);
  auto result = apply_locked(order);
  audit("apply", order.by, result);
  return result;
}

deploy_result deployment::not_stored(const change_author& by, diagnostic why) const {
  deploy_result result =
      tl::unexpected(refuse(deploy_errc::storage_failed, {std::move(why)}));
  audit("apply", by, result);
  return result;
}

deploy_result deployment::apply_folder(const change_author& by, std::string message,
                                       bool always) {
  const std::lock_guard lock(changing_);
  auto held = store_.blobs().keep_all();
  deploy_result result = [&]() -> deploy_result {
    if (where_.app_folder.empty()) {
      return tl::unexpected(refuse(deploy_errc::check_failed,
                                   {{.reason = "the node was started without an app folder",
                                     .hint = "`troupe apply PATH` gives it one"}}));
    }
    if (const auto fine = check_app_folder(where_.app_folder); !fine) {
      return tl::unexpected(refuse(deploy_errc::check_failed, {fine.error()}));
    }
    auto files = take_folder(store_, where_.app_folder);
    if (!files) {
      return tl::unexpected(refuse(
          is_of_the_disk(files.error()) ? deploy_errc::storage_failed : deploy_errc::check_failed,
          {to_diagnostic(files.error())}));
    }
    deploy_order order{std::move(*files), std::move(message), by, {}, always, std::move(held)};
    return apply_locked(order);
  }();
  audit("apply", by, result);
  return result;
}

deploy_result deployment::apply_locked(deploy_order& order) {
  const auto before = active(order.expect);
  if (!before) return tl::unexpected(before.error());
  deploy_outcome outcome;
  outcome.parent = *before;
  outcome.digest = order.files.id();
  if (*before != 0) {
    const auto serving = store_.manifest_of(*before);
    if (!serving) return tl::unexpected(refuse(deploy_errc::storage_failed, {serving.error()}));
    outcome.changed = cluster::compare(*serving, order.files);
    if (serving->id() == outcome.digest) {
      outcome.release = *before;
      return order.always ? load_anew(order.files, outcome) : outcome;
    }
  } else {
    outcome.changed = cluster::compare({}, order.files);
  }
  const auto source = lay_out(order.files, outcome.digest, 0);
  if (!source) return tl::unexpected(source.error());
  tl::expected<void, cluster::refusal> written;
  auto prepared = [&] {
    // The disk writes the contents while the release is loaded. The kernel tells of bytes that it
    // could not write once, and a second fsync succeeds.
    const std::jthread writing([&] { written = store_.blobs().flush(); });
    return node_.prepare(*source);
  }();
  if (!written) {
    return tl::unexpected(refuse(deploy_errc::storage_failed, {to_diagnostic(written.error())}));
  }
  if (!prepared) return tl::unexpected(refuse(deploy_errc::check_failed, prepared.error()));

  const auto number = store_.commit({.manifest = std::move(order.files),
                                     .author = order.by.name,
                                     .message = std::move(order.message),
                                     .parent = *before,
                                     .time = std::chrono::system_clock::now()});
  if (!number) {
    return tl::unexpected(
        refuse(number.error().lost_against ? deploy_errc::overtaken : deploy_errc::storage_failed,
               {number.error().problem}));
  }
  prepared->number(*number);
  const swap_report swapped = node_.activate(std::move(*prepared));
  outcome.release = *number;
  outcome.is_new = true;
  outcome.load_ms = swapped.load_ms;
  outcome.swap_ms = swapped.swap_ms;
  order.held.reset();
  prune();
  return outcome;
}

// What serves already, in new VMs: nothing is committed.
deploy_result deployment::load_anew(const cluster::manifest& files, deploy_outcome outcome) {
  auto source = lay_out(files, outcome.digest, outcome.release);
  if (!source) return tl::unexpected(source.error());
  source->digest.clear();  // One that is still warm is not meant.
  auto prepared = node_.prepare(*source);
  if (!prepared) return tl::unexpected(refuse(deploy_errc::check_failed, prepared.error()));
  const swap_report swapped = node_.activate(std::move(*prepared));
  outcome.is_anew = true;
  outcome.load_ms = swapped.load_ms;
  outcome.swap_ms = swapped.swap_ms;
  return outcome;
}

deploy_result deployment::rollback(std::optional<int> to, const change_author& by,
                                   std::optional<int> expect) {
  const std::lock_guard lock(changing_);
  const auto held = store_.blobs().keep_all();
  auto result = rollback_locked(to, expect);
  audit("rollback", by, result);
  return result;
}

deploy_result deployment::rollback_locked(std::optional<int> to, std::optional<int> expect) {
  const auto before = active(expect);
  if (!before) return tl::unexpected(before.error());
  if (!to) {
    const auto record = store_.active();
    if (record && *record) to = (*record)->parent;
    if (!to || *to == 0) {
      return tl::unexpected(refuse(
          deploy_errc::unknown_release,
          {{.reason = "release " + std::to_string(*before) + " has none before it to go back to",
            .hint = "`troupe releases` lists those that there are"}}));
    }
  }
  const auto record = store_.find(*to);
  const auto files = store_.manifest_of(*to);
  if (!record || !files) {
    diagnostic problem = record ? files.error() : record.error();
    if (problem.hint.empty() && problem.file.empty()) problem.hint = "`troupe releases` lists those that there are";
    // One that names a file is of the disk.
    return tl::unexpected(refuse(
        problem.file.empty() ? deploy_errc::unknown_release : deploy_errc::storage_failed,
        {std::move(problem)}));
  }
  deploy_outcome outcome{
      .release = *to, .parent = *before, .digest = record->digest, .changed = {}};
  if (*to == *before) return outcome;
  if (const auto serving = store_.manifest_of(*before)) {
    outcome.changed = cluster::compare(*serving, *files);
  }
  const auto source = lay_out(*files, record->digest, *to);
  if (!source) return tl::unexpected(source.error());
  auto prepared = node_.prepare(*source);
  if (!prepared) return tl::unexpected(refuse(deploy_errc::check_failed, prepared.error()));
  if (const auto committed = store_.activate(*to, *before); !committed) {
    return tl::unexpected(refuse(deploy_errc::storage_failed, {committed.error().problem}));
  }
  const swap_report swapped = node_.activate(std::move(*prepared));
  outcome.load_ms = swapped.load_ms;
  outcome.swap_ms = swapped.swap_ms;
  return outcome;
}

// What it fails with concerns nobody who waits for an answer.
void deployment::prune_now(const std::stop_token& stop) {
  const auto done = [&]() -> tl::expected<pruned, diagnostic> {
    auto left = [&] {
      const std::lock_guard lock(changing_);  // A tree that is laid out must not go at once.
      std::set<int> in_use;
      for (const live_release& live : node_.releases()) in_use.insert(live.number);
      return store_.forget(keep_, in_use);
    }();
    if (!left) return tl::unexpected(left.error());
    return store_.remove(std::move(*left), stop);
  }();
  if (!done) {
    node_.log().write(net::log_level::warn, "old releases stay: " + text(done.error()));
  }
}

void deployment::audit(std::string_view action, const change_author& by,
                       const deploy_result& result) const {
  if (result) {
    audit_.write(action, "release " + std::to_string(result->release), by,
                 result->is_anew                      ? "done, loaded anew"
                 : result->release == result->parent ? "nothing differs"
                                                     : "done",
                 node_.log());
    return;
  }
  const diagnostics& problems = result.error().problems;
  audit_.write(action, "", by,
               std::string(text(result.error().error)) +
                   (problems.empty() ? "" : ": " + text(problems.front())),
               node_.log());
}

}  // namespace troupe
