// SPDX-License-Identifier: Apache-2.0
#include "cluster/blob_store.hpp"

#include "cluster/file_descriptor.hpp"

#include <cerrno>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

constexpr std::uint64_t any_size = std::numeric_limits<std::uint64_t>::max();
/// Beyond so many new files one syncfs is cheaper than an fsync for each.
constexpr std::size_t many_files = 16;
constexpr std::string_view twin_suffix = ".x";
constexpr std::string_view damaged_suffix = ".damaged";

/// By what a file is known to be the one that was verified. Links change its ctime, so that is
/// none.
struct file_identity {
  ino_t inode = 0;
  off_t size = 0;
  timespec modified{};
  explicit file_identity(const struct stat& found)
      : inode(found.st_ino), size(found.st_size), modified(found.st_mtim) {}
  bool operator==(const file_identity& other) const noexcept {
    return inode == other.inode && size == other.size && modified.tv_sec == other.modified.tv_sec &&
           modified.tv_nsec == other.modified.tv_nsec;
  }
};

tl::unexpected<refusal> missing(const digest& name) {
  return tl::unexpected(
      refusal{.errc = refusal_errc::missing, .reason = "there is no content " + name.text()});
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> result;
  DIR* listing = opendir(folder.c_str());
  if (listing == nullptr) return result;
  while (const dirent* entry = readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") result.emplace_back(name);
  }
  closedir(listing);
  return result;
}

}  // namespace

struct blob_store::state {
  state(std::string root, disk::step_hook before_step)
      : root(std::move(root)), files(std::move(before_step)) {}

  const std::string root;
  disk files;
  std::mutex lock;
  std::unordered_map<std::string, file_identity> verified;  ///< By path.
  std::set<std::string> unsynced;                           ///< Files that flush() has to wait for.
  std::set<std::string> unsynced_folders;                   ///< And folders.
  /// Whose fsync failed: what the page cache shows of them may never reach the disk.
  std::set<std::string> doubtful;
  std::uint64_t written = 0;
  const hold holds = std::make_shared<int>(0);
  moment holds_taken = 0;

  [[nodiscard]] std::string path(const digest& name) const {
    const std::string hex = name.hex();
    return root + '/' + hex.substr(0, 2) + '/' + hex.substr(2);
  }

  /// The content if the file had to be read for it, else an empty text and `true`.
  tl::expected<void, refusal> verify(const digest& name, const std::string& file,
                                     std::string* content) {
    struct stat found;
    if (stat(file.c_str(), &found) != 0) {
      verified.erase(file);
      if (errno == ENOENT) return missing(name);
      return tl::unexpected(io_refusal("stat", file, errno));
    }
    const auto known = verified.find(file);
    const bool is_known = known != verified.end() && known->second == file_identity(found);
    if (is_known && content == nullptr) return {};
    auto bytes = read_whole(file, any_size);
    if (!bytes) return tl::unexpected(std::move(bytes.error()));
    if (digest::of(*bytes) != name) {
      verified.erase(file);
      const std::string aside = file + std::string(damaged_suffix);
      std::string reason = '"' + file + "\" is damaged: its content is not what its name says";
      if (files.rename(file, aside)) reason += "; it was moved to \"" + aside + '"';
      return tl::unexpected(
          refusal{.errc = refusal_errc::damaged, .reason = std::move(reason), .file = file});
    }
    if (!is_known) {
      verified.insert_or_assign(file, file_identity(found));
      // A killed process may have left it unsynced; that it reads well says nothing of the disk.
      note_unsynced(file);
    }
    if (content != nullptr) *content = *std::move(bytes);
    return {};
  }

  void note_unsynced(const std::string& file) {
    unsynced.insert(file);
    unsynced_folders.insert(file.substr(0, file.rfind('/')));
    unsynced_folders.insert(root);
  }

  tl::expected<void, refusal> write(const std::string& file, std::string_view content,
                                    mode_t mode) {
    const std::string fresh = root + "/tmp/" + std::to_string(++written);
    if (auto made = files.make_folder(file.substr(0, file.rfind('/')), 0755); !made) return made;
    if (auto done = files.write_new(fresh, content, mode); !done) return done;
    if (auto done = files.rename(fresh, file); !done) {
      unlink(fresh.c_str());
      return done;
    }
    struct stat found;
    if (stat(file.c_str(), &found) != 0) {
      return tl::unexpected(io_refusal("stat", file, errno));
    }
    verified.insert_or_assign(file, file_identity(found));
    doubtful.erase(file);
    note_unsynced(file);
    return {};
  }

  tl::expected<void, refusal> add(const digest& name, std::string_view content) {
    const std::string file = path(name);
    if (!doubtful.contains(file) && verify(name, file, nullptr)) return {};
    return write(file, content, 0444);
  }
};

blob_store::blob_store(std::unique_ptr<state> s) : state_(std::move(s)) {}
blob_store::blob_store(blob_store&&) noexcept = default;
blob_store& blob_store::operator=(blob_store&&) noexcept = default;
blob_store::~blob_store() = default;

tl::expected<blob_store, refusal> blob_store::open(std::string root, disk::step_hook before_step) {
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  auto s = std::make_unique<state>(std::move(root), std::move(before_step));
  if (auto made = s->files.make_folder(s->root + "/tmp", 0755); !made) {
    return tl::unexpected(std::move(made.error()));
  }
  for (const std::string& name : names_in(s->root + "/tmp")) {
    if (auto gone = s->files.remove(s->root + "/tmp/" + name); !gone) {
      return tl::unexpected(std::move(gone.error()));
    }
  }
  return blob_store(std::move(s));
}

const std::string& blob_store::root() const noexcept {
  return state_->root;
}

blob_store::hold blob_store::keep_all() const {
  const std::lock_guard guard(state_->lock);
  ++state_->holds_taken;
  return state_->holds;
}

std::optional<blob_store::moment> blob_store::free_moment() const {
  const std::lock_guard guard(state_->lock);
  if (state_->holds.use_count() > 1) return {};
  return state_->holds_taken;
}

bool blob_store::has(const digest& name) const {
  const std::lock_guard guard(state_->lock);
  return state_->verify(name, state_->path(name), nullptr).has_value();
}

tl::expected<void, refusal> blob_store::check(const digest& name, std::uint64_t size) const {
  const std::lock_guard guard(state_->lock);
  const std::string file = state_->path(name);
  if (auto fine = state_->verify(name, file, nullptr); !fine) return fine;
  const auto& seen = state_->verified.at(file);
  if (static_cast<std::uint64_t>(seen.size) == size) return {};
  return tl::unexpected(refusal{.errc = refusal_errc::malformed,
                                .reason = "a manifest says that " + name.text() + " has " +
                                          std::to_string(size) + " bytes, it has " +
                                          std::to_string(seen.size)});
}

tl::expected<digest, refusal> blob_store::put(std::string_view content) {
  const digest name = digest::of(content);
  const std::lock_guard guard(state_->lock);
  if (auto added = state_->add(name, content); !added) {
    return tl::unexpected(std::move(added.error()));
  }
  return name;
}

tl::expected<void, refusal> blob_store::put(const digest& name, std::string_view content) {
  if (digest::of(content) != name) {
    return tl::unexpected(refusal{.errc = refusal_errc::damaged,
                                  .reason = "a content is not what its name says: " + name.text()});
  }
  const std::lock_guard guard(state_->lock);
  return state_->add(name, content);
}

tl::expected<digest, refusal> blob_store::put_file(const std::string& path,
                                                   std::uint64_t max_bytes) {
  auto content = read_whole(path, max_bytes);
  if (!content) return tl::unexpected(std::move(content.error()));
  return put(*content);
}

tl::expected<std::string, refusal> blob_store::get(const digest& name) const {
  const std::lock_guard guard(state_->lock);
  std::string content;
  if (auto fine = state_->verify(name, state_->path(name), &content); !fine) {
    return tl::unexpected(std::move(fine.error()));
  }
  return content;
}

tl::expected<std::string, refusal> blob_store::path_of(const digest& name, bool executable) const {
  const std::lock_guard guard(state_->lock);
  std::string file = state_->path(name);
  if (!executable) {
    if (auto fine = state_->verify(name, file, nullptr); !fine) {
      return tl::unexpected(std::move(fine.error()));
    }
    return file;
  }
  std::string twin = file + std::string(twin_suffix);
  if (!state_->doubtful.contains(twin) && state_->verify(name, twin, nullptr)) return twin;
  std::string content;
  if (auto fine = state_->verify(name, file, &content); !fine) {
    return tl::unexpected(std::move(fine.error()));
  }
  if (auto done = state_->write(twin, content, 0555); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  return twin;
}

tl::expected<void, refusal> blob_store::flush() {
  const std::lock_guard guard(state_->lock);
  state& s = *state_;
  if (s.unsynced.empty() && s.unsynced_folders.empty()) return {};
  if (s.unsynced.size() > many_files) {
    if (auto done = s.files.sync_file_system(s.root); !done) {
      s.doubtful.insert(s.unsynced.begin(), s.unsynced.end());
      return done;
    }
  } else {
    // The first fsync commits what the file system keeps of all of them if their bytes are on the
    // way already.
    for (const std::string& file : s.unsynced) s.files.begin_sync(file);
    for (const std::string& file : s.unsynced) {
      auto done = s.files.sync_file(file);
      // Moved aside or swept meanwhile: who needs it will miss it.
      if (!done && done.error().errc != refusal_errc::missing) {
        s.doubtful.insert(file);
        return done;
      }
    }
    for (const std::string& folder : s.unsynced_folders) {
      if (auto done = s.files.sync_folder(folder); !done) return done;
    }
  }
  s.unsynced.clear();
  s.unsynced_folders.clear();
  return {};
}

tl::expected<blob_store::swept, refusal> blob_store::sweep(const std::unordered_set<digest>& keep,
                                                           std::optional<moment> since,
                                                           const std::stop_token& stop) {
  state& s = *state_;
  swept result;
  for (const std::string& folder : names_in(s.root)) {
    if (folder.size() != 2) continue;
    for (const std::string& name : names_in(s.root + '/' + folder)) {
      std::string_view rest = name;
      if (rest.ends_with(twin_suffix)) rest.remove_suffix(twin_suffix.size());
      const auto content = digest::parse(folder + std::string(rest));
      if (content && keep.contains(*content)) continue;
      // What is not ours is left alone.
      if (!content && !name.ends_with(damaged_suffix)) continue;
      const std::string path = s.root + '/' + folder + '/' + name;
      const std::lock_guard guard(s.lock);
      if (since != s.holds_taken || stop.stop_requested()) return result;
      struct stat found;
      if (stat(path.c_str(), &found) != 0) continue;
      if (auto gone = s.files.remove(path); !gone) return tl::unexpected(std::move(gone.error()));
      s.verified.erase(path);
      s.unsynced.erase(path);
      s.doubtful.erase(path);
      ++result.files;
      result.bytes += static_cast<std::uint64_t>(found.st_size);
    }
  }
  return result;
}

}  // namespace troupe::cluster
