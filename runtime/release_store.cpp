// SPDX-License-Identifier: Apache-2.0
#include "runtime/release_store.hpp"

#include "cluster/file_descriptor.hpp"
#include "runtime/database.hpp"
#include "runtime/release_tree.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <system_error>
#include <unordered_set>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>

namespace troupe {
namespace {

namespace fs = std::filesystem;
using cluster::digest;
using cluster::manifest;

constexpr database::schema schema{.version = 1,
                                  .application_id = 0x74726f75,  // "trou"
                                  .create = R"(
CREATE TABLE manifests (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE releases (
  number INTEGER PRIMARY KEY,
  parent INTEGER NOT NULL,           -- 0: none
  digest BLOB NOT NULL REFERENCES manifests,
  author TEXT NOT NULL,
  message TEXT NOT NULL,
  time INTEGER NOT NULL              -- milliseconds since 1970
);
CREATE INDEX releases_by_digest ON releases (digest);
CREATE TABLE state (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  active INTEGER NOT NULL,           -- 0: none
  last_number INTEGER NOT NULL,      -- numbers are never given twice
  config_version INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 0, 0, 0);
CREATE TABLE config (
  key TEXT PRIMARY KEY,
  type INTEGER NOT NULL,
  value BLOB NOT NULL,
  version INTEGER NOT NULL,
  time INTEGER NOT NULL,
  author TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE config_history (
  version INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  type INTEGER,                      -- NULL: unset
  value BLOB,
  time INTEGER NOT NULL,
  author TEXT NOT NULL
);
CREATE INDEX config_history_by_key ON config_history (key, version);
)"};

release_record record_of(const database::rows& row) {
  return {.number = static_cast<int>(row.integer(0)),
          .parent = static_cast<int>(row.integer(1)),
          .digest = digest::from_bytes(row.text(2)).value_or(digest{}),
          .author = row.text(3),
          .message = row.text(4),
          .time = std::chrono::system_clock::time_point(std::chrono::milliseconds(row.integer(5)))};
}

commit_refusal refused(diagnostic problem) {
  return {.problem = std::move(problem), .lost_against = std::nullopt};
}

}  // namespace

struct release_store::state {
  state(std::string folder, std::shared_ptr<database> data, cluster::blob_store blobs,
        cluster::disk files)
      : trees(folder + "/trees"),
        data(std::move(data)),
        blobs(std::move(blobs)),
        files(std::move(files)),
        config(this->data) {}

  std::string trees;
  std::shared_ptr<database> data;
  cluster::blob_store blobs;
  cluster::disk files;
  config_values config;
  /// Of `trees`, locked (shared) by each process that may serve from them: after an upgrade the one
  /// before still does while it drains.
  cluster::file_descriptor in_use;
  std::mutex
      tree_lock;  ///< Trees take a while, and questions about releases need not wait for them.
  std::uint64_t set_aside = 0;  ///< Trees so far.
  /// What each manifest of the database refers to, so that each is read once. Of remove().
  std::map<digest, std::shared_ptr<const std::vector<digest>>> referred;

  // All below: under data->lock().

  tl::expected<int, diagnostic> state_number(const char* sql) {
    auto row = data->query(sql);
    if (!row) return tl::unexpected(std::move(row.error()));
    if (auto there = row->next(); !there) return tl::unexpected(std::move(there.error()));
    return static_cast<int>(row->integer(0));
  }
  tl::expected<int, diagnostic> active() { return state_number("SELECT active FROM state"); }

  tl::expected<release_record, diagnostic> find(int number) {
    auto row = data->query(
        "SELECT number, parent, digest, author, message, time FROM releases WHERE number = ?1",
        std::int64_t{number});
    if (!row) return tl::unexpected(std::move(row.error()));
    auto there = row->next();
    if (!there) return tl::unexpected(std::move(there.error()));
    if (!*there) {
      return tl::unexpected(diagnostic{.reason = "no release " + std::to_string(number),
                                       .hint = "`troupe releases` lists those that there are"});
    }
    return record_of(*row);
  }

  tl::expected<manifest, diagnostic> manifest_by(const digest& name) {
    auto row =
        data->query("SELECT bytes FROM manifests WHERE digest = ?1", database::blob{name.raw()});
    if (!row) return tl::unexpected(std::move(row.error()));
    auto there = row->next();
    if (!there) return tl::unexpected(std::move(there.error()));
    const std::string bytes = *there ? row->text(0) : std::string();
    auto result = manifest::decode(bytes);
    if (!*there || !result || digest::of(bytes) != name) {
      return tl::unexpected(diagnostic{
          .file = data->path(),
          .reason = "the database is damaged: the manifest " + name.text() + " is not in it whole",
          .hint = "apply the app again, or put a backup of the database in place"});
    }
    return *std::move(result);
  }

  tl::expected<manifest, diagnostic> manifest_of(int number) {
    auto record = find(number);
    if (!record) return tl::unexpected(std::move(record.error()));
    return manifest_by(record->digest);
  }

  tl::expected<std::vector<release_record>, diagnostic> list() {
    auto row = data->query(
        "SELECT number, parent, digest, author, message, time FROM releases ORDER BY number DESC");
    if (!row) return tl::unexpected(std::move(row.error()));
    std::vector<release_record> result;
    while (true) {
      auto there = row->next();
      if (!there) return tl::unexpected(std::move(there.error()));
      if (!*there) return result;
      result.push_back(record_of(*row));
    }
  }

  tl::expected<int, commit_refusal> commit(const release_draft& draft, const digest& name,
                                           const std::string& bytes);
  tl::expected<std::vector<release_record>, diagnostic> forget(std::size_t keep,
                                                               const std::set<int>& in_use,
                                                               pruned& gone);

  // Without it.

  /// Under tree_lock.
  tl::expected<void, diagnostic> set_trees_aside(const std::set<digest>& keep, leftovers& left);
  tl::expected<void, diagnostic> remove_trees(const std::vector<std::string>& doomed,
                                              const std::stop_token& stop) const;
  tl::expected<std::unordered_set<digest>, diagnostic> contents_of(
      const std::set<digest>& manifests);
  /// Whether another process has the trees in use.
  [[nodiscard]] bool is_shared() const {
    if (!in_use.is_open()) return true;
    const bool alone = flock(in_use.number(), LOCK_EX | LOCK_NB) == 0;
    // A conversion that fails may have lost what was held.
    flock(in_use.number(), LOCK_SH);
    return !alone;
  }
};

release_store::release_store(std::unique_ptr<state> s) : state_(std::move(s)) {}
release_store::release_store(release_store&&) noexcept = default;
release_store& release_store::operator=(release_store&&) noexcept = default;
release_store::~release_store() = default;

tl::expected<release_store, diagnostic> release_store::open(std::string folder,
                                                            cluster::disk::step_hook before_step) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  std::error_code error;
  folder = fs::absolute(folder, error).string();
  cluster::disk files(before_step);
  auto made = files.make_folder(folder, 0700);
  if (made) made = files.make_folder(folder + "/trees", 0755);
  if (!made) return tl::unexpected(to_diagnostic(made.error()));
  auto blobs = cluster::blob_store::open(folder + "/store", std::move(before_step));
  if (!blobs) return tl::unexpected(to_diagnostic(blobs.error()));
  auto data = database::open(folder + "/troupe.db", schema);
  if (!data) return tl::unexpected(std::move(data.error()));
  auto s = std::make_unique<state>(folder, *std::move(data), *std::move(blobs), std::move(files));
  s->in_use = cluster::file_descriptor(
      ::open(s->trees.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (s->in_use.is_open()) flock(s->in_use.number(), LOCK_SH);
  for (fs::directory_iterator at(s->trees, error), end; !error && at != end; at.increment(error)) {
    const std::string tree = at->path().string();
    if (!tree.ends_with(unfinished_tree_suffix) && !tree.ends_with(doomed_tree_suffix) &&
        !tree.ends_with(".troupe-new")) {
      continue;
    }
    if (auto gone = s->files.remove_all(tree); !gone) {
      return tl::unexpected(to_diagnostic(gone.error()));
    }
  }
  release_store result(std::move(s));
  // What a start will need has to be there.
  auto active = result.active();
  if (!active) return tl::unexpected(std::move(active.error()));
  if (*active) {
    if (auto files_of = result.manifest_of((*active)->number); !files_of) {
      return tl::unexpected(std::move(files_of.error()));
    }
  }
  return result;
}

cluster::blob_store& release_store::blobs() noexcept {
  return state_->blobs;
}

config_values& release_store::config() noexcept {
  return state_->config;
}

tl::expected<std::string, diagnostic> release_store::tree(const manifest& files) {
  const auto hold = state_->blobs.keep_all();
  const std::lock_guard guard(state_->tree_lock);
  auto result = lay_out_tree(state_->files, state_->blobs, files, state_->trees);
  if (!result) return tl::unexpected(to_diagnostic(result.error()));
  return *std::move(result);
}

tl::expected<int, commit_refusal> release_store::commit(const release_draft& draft) {
  const auto hold = state_->blobs.keep_all();
  if (auto fine = draft.manifest.check(); !fine) {
    return tl::unexpected(refused(to_diagnostic(fine.error())));
  }
  const std::string bytes = draft.manifest.encode();
  for (const auto& file : draft.manifest.files) {
    if (auto fine = state_->blobs.check(file.content, file.size); !fine) {
      fine.error().reason = file.path + ": " + fine.error().reason;
      return tl::unexpected(refused(to_diagnostic(fine.error())));
    }
  }
  // The row comes after what it speaks of.
  if (auto flushed = state_->blobs.flush(); !flushed) {
    return tl::unexpected(refused(to_diagnostic(flushed.error())));
  }
  const std::lock_guard guard(state_->data->lock());
  return state_->commit(draft, digest::of(bytes), bytes);
}

tl::expected<int, commit_refusal> release_store::state::commit(const release_draft& draft,
                                                               const digest& name,
                                                               const std::string& bytes) {
  const auto failed = [](diagnostic& why) {
    why.reason = "the release cannot be stored: " + why.reason;
    return tl::unexpected(refused(std::move(why)));
  };
  auto committing = database::transaction::begin(*data);
  if (!committing) return failed(committing.error());
  auto now = active();
  if (!now) return failed(now.error());
  if (*now != draft.parent) {
    return tl::unexpected(
        commit_refusal{.problem = {.reason = "release " + std::to_string(*now) +
                                             " is active, not " + std::to_string(draft.parent)},
                       .lost_against = *now});
  }
  auto last = state_number("SELECT last_number FROM state");
  if (!last) return failed(last.error());
  const std::int64_t number = std::int64_t{*last} + 1;
  if (number > std::numeric_limits<int>::max()) {
    return tl::unexpected(refused({.file = data->path(), .reason = "no release number is left"}));
  }
  auto done = data->run("INSERT OR IGNORE INTO manifests (digest, bytes) VALUES (?1, ?2)",
                        database::blob{name.raw()}, database::blob{bytes});
  if (!done) return failed(done.error());
  const auto time =
      std::chrono::duration_cast<std::chrono::milliseconds>(draft.time.time_since_epoch()).count();
  done = data->run(
      "INSERT INTO releases (number, parent, digest, author, message, time) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
      number, std::int64_t{draft.parent}, database::blob{name.raw()},
      std::string_view(draft.author), std::string_view(draft.message), std::int64_t{time});
  if (!done) return failed(done.error());
  done = data->run("UPDATE state SET active = ?1, last_number = ?1", number);
  if (!done) return failed(done.error());
  if (done = committing->commit(); !done) return failed(done.error());
  return static_cast<int>(number);
}

tl::expected<void, commit_refusal> release_store::activate(int number, std::optional<int> expect) {
  const auto files = manifest_of(number);
  if (!files) return tl::unexpected(refused(files.error()));
  for (const auto& file : files->files) {
    if (auto fine = state_->blobs.check(file.content, file.size); !fine) {
      fine.error().reason = file.path + ": " + fine.error().reason;
      return tl::unexpected(refused(to_diagnostic(fine.error())));
    }
  }
  const std::lock_guard guard(state_->data->lock());
  auto changing = database::transaction::begin(*state_->data);
  if (!changing) return tl::unexpected(refused(std::move(changing.error())));
  auto now = state_->active();
  if (!now) return tl::unexpected(refused(std::move(now.error())));
  if (expect && *now != *expect) {
    return tl::unexpected(
        commit_refusal{.problem = {.reason = "release " + std::to_string(*now) +
                                             " is active, not " + std::to_string(*expect)},
                       .lost_against = *now});
  }
  // It may have been pruned since.
  if (auto found = state_->find(number); !found) return tl::unexpected(refused(found.error()));
  auto done = state_->data->run("UPDATE state SET active = ?1", std::int64_t{number});
  if (done) done = changing->commit();
  if (!done) return tl::unexpected(refused(std::move(done.error())));
  return {};
}

tl::expected<std::vector<release_record>, diagnostic> release_store::list() const {
  const std::lock_guard guard(state_->data->lock());
  return state_->list();
}

tl::expected<release_record, diagnostic> release_store::find(int number) const {
  const std::lock_guard guard(state_->data->lock());
  return state_->find(number);
}

tl::expected<std::optional<release_record>, diagnostic> release_store::active() const {
  const std::lock_guard guard(state_->data->lock());
  auto number = state_->active();
  if (!number) return tl::unexpected(std::move(number.error()));
  if (*number == 0) return std::nullopt;
  auto record = state_->find(*number);
  if (!record) return tl::unexpected(std::move(record.error()));
  return *std::move(record);
}

tl::expected<manifest, diagnostic> release_store::manifest_of(int number) const {
  const std::lock_guard guard(state_->data->lock());
  return state_->manifest_of(number);
}

tl::expected<std::string, diagnostic> release_store::read(int number, std::string_view path) const {
  const auto files = manifest_of(number);
  if (!files) return tl::unexpected(files.error());
  const auto* file = files->find(path);
  if (file == nullptr) {
    return tl::unexpected(
        diagnostic{.file = std::string(path),
                   .reason = "release " + std::to_string(number) + " has no such file"});
  }
  auto content = state_->blobs.get(file->content);
  if (!content) return tl::unexpected(to_diagnostic(content.error()));
  return *std::move(content);
}

tl::expected<std::vector<file_diff>, diagnostic> release_store::diff(int from, int to) const {
  const auto hold = state_->blobs.keep_all();
  manifest before;
  if (from != 0) {
    auto found = manifest_of(from);
    if (!found) return tl::unexpected(std::move(found.error()));
    before = *std::move(found);
  }
  const auto after = manifest_of(to);
  if (!after) return tl::unexpected(after.error());

  auto result = diff_of(before, *after,
                        [this](const digest& name) { return state_->blobs.get(name); });
  if (!result) return tl::unexpected(to_diagnostic(result.error()));
  return *std::move(result);
}

tl::expected<release_store::leftovers, diagnostic> release_store::forget(
    std::size_t keep, const std::set<int>& in_use, const std::set<digest>& keep_trees) {
  leftovers left;
  // Before it is known what stays: who commits from now on holds the contents first.
  left.since = state_->blobs.free_moment();
  const std::lock_guard tree_guard(state_->tree_lock);
  std::set<digest> trees = keep_trees;
  {
    const std::lock_guard guard(state_->data->lock());
    const auto kept = state_->forget(keep, in_use, left.gone);
    if (!kept) return tl::unexpected(kept.error());
    const auto now = state_->active();
    if (!now) return tl::unexpected(now.error());
    for (const release_record& record : *kept) {
      left.manifests.insert(record.digest);
      if (record.number == *now || in_use.contains(record.number)) trees.insert(record.digest);
    }
  }
  if (state_->is_shared()) return left;
  if (auto done = state_->set_trees_aside(trees, left); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  return left;
}

tl::expected<pruned, diagnostic> release_store::remove(leftovers from,
                                                       const std::stop_token& stop) {
  if (auto done = state_->remove_trees(from.trees, stop); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  const auto keep = state_->contents_of(from.manifests);
  if (!keep) return tl::unexpected(keep.error());
  auto swept = state_->blobs.sweep(*keep, from.since, stop);
  if (!swept) return tl::unexpected(to_diagnostic(swept.error()));
  from.gone.contents = *swept;
  return std::move(from.gone);
}

tl::expected<pruned, diagnostic> release_store::sweep(
    const std::set<digest>& trees, const std::unordered_set<digest>& contents) {
  leftovers left;
  left.since = state_->blobs.free_moment();
  {
    const std::lock_guard guard(state_->tree_lock);
    if (auto done = state_->set_trees_aside(trees, left); !done) {
      return tl::unexpected(std::move(done.error()));
    }
  }
  if (auto done = state_->remove_trees(left.trees, {}); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  auto swept = state_->blobs.sweep(contents, left.since);
  if (!swept) return tl::unexpected(to_diagnostic(swept.error()));
  left.gone.contents = *swept;
  return std::move(left.gone);
}

tl::expected<std::vector<release_record>, diagnostic> release_store::state::forget(
    std::size_t keep, const std::set<int>& in_use, pruned& gone) {
  auto forgetting = database::transaction::begin(*data);
  if (!forgetting) return tl::unexpected(std::move(forgetting.error()));
  auto all = list();
  if (!all) return all;
  auto now = active();
  if (!now) return tl::unexpected(std::move(now.error()));
  std::vector<release_record> kept;
  for (std::size_t i = 0; i < all->size(); ++i) {
    release_record& record = (*all)[i];
    if (i < keep || record.number == *now || in_use.contains(record.number)) {
      kept.push_back(std::move(record));
      continue;
    }
    auto done = data->run("DELETE FROM releases WHERE number = ?1", std::int64_t{record.number});
    if (!done) return tl::unexpected(std::move(done.error()));
    gone.releases.push_back(record.number);
  }
  if (gone.releases.empty()) return kept;
  std::ranges::reverse(gone.releases);
  auto done = data->run(
      "DELETE FROM manifests WHERE NOT EXISTS "
      "(SELECT 1 FROM releases WHERE releases.digest = manifests.digest)");
  if (done) done = forgetting->commit();
  if (!done) return tl::unexpected(std::move(done.error()));
  return kept;
}

tl::expected<void, diagnostic> release_store::state::remove_trees(
    const std::vector<std::string>& doomed, const std::stop_token& stop) const {
  for (const std::string& tree : doomed) {
    if (stop.stop_requested()) break;
    if (auto done = files.remove_all(tree); !done) {
      return tl::unexpected(to_diagnostic(done.error()));
    }
  }
  return {};
}

tl::expected<std::unordered_set<digest>, diagnostic> release_store::state::contents_of(
    const std::set<digest>& manifests) {
  std::unordered_set<digest> result;
  std::map<digest, std::shared_ptr<const std::vector<digest>>> still;
  for (const digest& name : manifests) {
    auto& contents = still[name];
    if (auto known = referred.find(name); known != referred.end()) {
      contents = known->second;
    } else {
      // One at a time: whoever waits for the database waits for one.
      const std::lock_guard guard(data->lock());
      auto files_of = manifest_by(name);
      if (!files_of) return tl::unexpected(std::move(files_of.error()));
      auto all = std::make_shared<std::vector<digest>>();
      for (const auto& file : files_of->files) all->push_back(file.content);
      contents = std::move(all);
    }
    result.insert(contents->begin(), contents->end());
  }
  referred = std::move(still);
  return result;
}

tl::expected<void, diagnostic> release_store::state::set_trees_aside(const std::set<digest>& keep,
                                                                     leftovers& left) {
  std::set<std::string> kept;
  for (const digest& each : keep) kept.insert(tree_name(each));
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator at(trees, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.ends_with(unfinished_tree_suffix) && !kept.contains(name)) found.push_back(at->path().string());
  }
  if (error) {
    return tl::unexpected(to_diagnostic(cluster::io_refusal("read", trees, error.value())));
  }
  for (std::string& tree : found) {
    if (tree.ends_with(doomed_tree_suffix)) {  // A removal that was interrupted.
      left.trees.push_back(std::move(tree));
      continue;
    }
    // Of another name each time: the same tree may have been made again meanwhile.
    std::string aside =
        tree + '.' + std::to_string(++set_aside) + std::string(doomed_tree_suffix);
    if (auto done = files.rename(tree, aside); !done) {
      return tl::unexpected(to_diagnostic(done.error()));
    }
    left.trees.push_back(std::move(aside));
    left.gone.trees.push_back(std::move(tree));
  }
  return {};
}

}  // namespace troupe
