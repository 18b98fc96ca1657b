// SPDX-License-Identifier: Apache-2.0
#include "cluster/folder_reader.hpp"

#include "cluster/disk.hpp"
#include "cluster/file_descriptor.hpp"
#include "cluster/ignore_list.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

constexpr std::uint64_t max_ignore_bytes = 1u << 16;

/// What says that a file is still the one that was looked at.
struct look {
  dev_t device = 0;
  ino_t inode = 0;
  std::uint64_t size = 0;
  mode_t mode = 0;
  std::int64_t modified = 0;
  std::int64_t changed = 0;
  bool operator==(const look&) const = default;
};

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

look look_of(const struct stat& found) {
  return {.device = found.st_dev,
          .inode = found.st_ino,
          .size = static_cast<std::uint64_t>(found.st_size),
          .mode = found.st_mode,
          .modified = nanoseconds(found.st_mtim),
          .changed = nanoseconds(found.st_ctim)};
}

using listing = std::map<std::string, look>;

tl::unexpected<refusal> refused(refusal_errc errc, const std::string& path,
                                const std::string& what) {
  return tl::unexpected(refusal{.errc = errc, .reason = '"' + path + "\" " + what, .file = path});
}

const char* kind(mode_t mode) {
  if (S_ISFIFO(mode)) return "is a named pipe, which no release can hold";
  if (S_ISBLK(mode) || S_ISCHR(mode)) return "is a device, which no release can hold";
  return "is no file, which no release can hold";
}

/// Where an open file lies, whatever links led to it.
std::string place_of(const file_descriptor& file) {
  char result[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(file.number());
  const ssize_t size = readlink(link.c_str(), result, sizeof result);
  return size > 0 ? std::string(result, static_cast<std::size_t>(size)) : std::string();
}

/// Whether a node keeps its data here, which may be inside of its app.
bool is_data_folder(const file_descriptor& folder) {
  return faccessat(folder.number(), "troupe.pid", F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
         faccessat(folder.number(), "troupe.db", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/// None: errno says why.
std::optional<std::vector<std::string>> names_in(int folder) {
  std::vector<std::string> result;
  const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* entries = copy >= 0 ? fdopendir(copy) : nullptr;
  if (entries == nullptr) {
    const int number = errno;
    if (copy >= 0) close(copy);
    errno = number;
    return std::nullopt;
  }
  errno = 0;
  while (const dirent* entry = readdir(entries)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") result.emplace_back(name);
  }
  const int number = errno;
  closedir(entries);
  if (number != 0) {
    errno = number;
    return std::nullopt;
  }
  std::ranges::sort(result);
  return result;
}

/// One look at a whole folder; reads no file.
class folder_walk {
 public:
  folder_walk(int root, std::string place, const folder_limits& limits, const ignore_list& ignored)
      : root_(root), place_(std::move(place)), limits_(limits), ignored_(ignored) {}

  tl::expected<listing, refusal> run() {
    struct stat top;
    if (fstat(root_, &top) != 0) return tl::unexpected(io_refusal("fstat", place_, errno));
    above_.push_back(look_of(top));
    if (auto done = enter(root_, {}); !done) return tl::unexpected(std::move(done.error()));
    return std::move(files_);
  }

 private:
  tl::expected<void, refusal> enter(int folder, const std::string& path) {
    if (above_.size() > limits_.depth) {
      return refused(refusal_errc::too_large, path, "is too deep a folder");
    }
    const auto names = names_in(folder);
    if (!names) {
      // Gone since it was opened: the next look sees that.
      if (errno == ENOENT) return {};
      const std::string& shown = path.empty() ? place_ : place_ + '/' + path;
      return tl::unexpected(at(io_refusal("read", shown, errno), path));
    }
    for (const std::string& name : *names) {
      const std::string whole = path.empty() ? name : path + '/' + name;
      if (ignored_.ignores(whole, false)) continue;
      struct stat found;
      if (fstatat(folder, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // gone since the folder was listed
        return tl::unexpected(at(io_refusal("stat", place_ + '/' + whole, errno), whole));
      }
      if (auto done = add(folder, name, whole, found); !done) return done;
    }
    return {};
  }

  tl::expected<void, refusal> add(int folder, const std::string& name, const std::string& whole,
                                  struct stat found) {
    const bool is_link = S_ISLNK(found.st_mode);
    if (is_link) {
      // Not opened for reading: a pipe or device behind it is not to be woken.
      const file_descriptor target(openat(folder, name.c_str(), O_PATH | O_CLOEXEC));
      if (!target.is_open()) {
        return refused(
            refusal_errc::bad_path, whole,
            errno == ENOENT ? "is a link that leads nowhere" : "is a link that cannot be followed");
      }
      if (!is_inside(place_of(target))) {
        return refused(refusal_errc::bad_path, whole,
                       "is a link that leads out of the folder, to " + place_of(target));
      }
      if (fstat(target.number(), &found) != 0) {
        return tl::unexpected(at(io_refusal("fstat", place_ + '/' + whole, errno), whole));
      }
    }
    if (S_ISDIR(found.st_mode)) return add_folder(folder, name, whole, is_link);
    // What a running node listens on may lie in its app.
    if (S_ISSOCK(found.st_mode)) return {};
    if (!S_ISREG(found.st_mode)) return refused(refusal_errc::bad_kind, whole, kind(found.st_mode));
    if (auto bad = check_path(whole)) return tl::unexpected(*std::move(bad));
    const look file = look_of(found);
    if (file.size > limits_.file_bytes) {
      return refused(refusal_errc::too_large, whole,
                     "has " + std::to_string(file.size) + " bytes, more than " +
                         std::to_string(limits_.file_bytes) + "; .troupeignore can leave it out");
    }
    bytes_ += file.size;
    if (bytes_ > limits_.total_bytes) {
      return refused(refusal_errc::too_large, place_,
                     "has more than " + std::to_string(limits_.total_bytes) +
                         " bytes; .troupeignore can leave files out");
    }
    files_.emplace(whole, file);
    if (files_.size() > limits_.files) {
      return refused(refusal_errc::too_large, place_,
                     "has more than " + std::to_string(limits_.files) +
                         " files; .troupeignore can leave some out");
    }
    return {};
  }

  tl::expected<void, refusal> add_folder(int folder, const std::string& name,
                                         const std::string& whole, bool is_link) {
    if (ignored_.ignores(whole, true)) return {};
    const file_descriptor next(openat(
        folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | (is_link ? 0 : O_NOFOLLOW)));
    if (!next.is_open()) {
      // Gone or exchanged since: the next look sees what it is.
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return {};
      return tl::unexpected(at(io_refusal("open", place_ + '/' + whole, errno), whole));
    }
    if (is_data_folder(next)) return {};
    struct stat found;
    if (fstat(next.number(), &found) != 0) {
      return tl::unexpected(at(io_refusal("fstat", place_ + '/' + whole, errno), whole));
    }
    const look itself = look_of(found);
    // A link that was exchanged after it was looked at would lead out here.
    if (is_link && !is_inside(place_of(next))) {
      return refused(refusal_errc::bad_path, whole, "is a link that leads out of the folder");
    }
    if (std::ranges::any_of(above_, [&](const look& one) {
          return one.device == itself.device && one.inode == itself.inode;
        })) {
      return refused(refusal_errc::bad_path, whole, "is a link to a folder that it lies in");
    }
    above_.push_back(itself);
    auto done = enter(next.number(), whole);
    above_.pop_back();
    return done;
  }

  [[nodiscard]] bool is_inside(const std::string& place) const {
    if (place_ == "/") return !place.empty();
    return place == place_ || (place.starts_with(place_) && place[place_.size()] == '/');
  }

  static refusal at(refusal why, const std::string& path) {
    why.file = path;
    return why;
  }

  const int root_;
  const std::string place_;
  const folder_limits& limits_;
  const ignore_list& ignored_;
  std::vector<look> above_;
  listing files_;
  std::uint64_t bytes_ = 0;
};

/// The bytes of a file as it was looked at; none: it is not that any more.
tl::expected<std::optional<std::string>, refusal> read_as_seen(int root, const std::string& path,
                                                               const look& expected) {
  const file_descriptor file(
      openat(root, path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.is_open()) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::nullopt;
    refusal why = io_refusal("open", path, errno);
    why.file = path;
    return tl::unexpected(std::move(why));
  }
  struct stat found;
  if (fstat(file.number(), &found) != 0 || look_of(found) != expected) return std::nullopt;
  std::string bytes(expected.size, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = read(file.number(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      refusal why = io_refusal("read", path, errno);
      why.file = path;
      return tl::unexpected(std::move(why));
    }
    if (got == 0) return std::nullopt;
    size += static_cast<std::size_t>(got);
  }
  if (fstat(file.number(), &found) != 0 || look_of(found) != expected) return std::nullopt;
  return bytes;
}

/// A path that differs, for the message.
std::string first_difference(const listing& before, const listing& after) {
  for (const auto& [path, file] : before) {
    const auto now = after.find(path);
    if (now == after.end() || now->second != file) return path;
  }
  for (const auto& [path, file] : after) {
    if (!before.contains(path)) return path;
  }
  return {};
}

}  // namespace

tl::expected<manifest, refusal> read_folder(const std::string& folder, const folder_limits& limits,
                                            const take_content& take) {
  const file_descriptor root(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.is_open()) return tl::unexpected(io_refusal("open", folder, errno));
  const std::string place = place_of(root);

  struct known {
    look seen;
    digest content;
  };
  std::map<std::string, known> contents;  // what need not be read again
  std::string unstable;
  for (int attempt = 0; attempt < std::max(limits.attempts, 1); ++attempt) {
    // A save that is under way gets a little time to end.
    if (attempt > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10) * attempt);
    auto rules = read_whole(place + "/.troupeignore", max_ignore_bytes);
    if (!rules && rules.error().errc != refusal_errc::missing) {
      return tl::unexpected(std::move(rules.error()));
    }
    const ignore_list ignored(rules ? *rules : std::string());
    auto before = folder_walk(root.number(), place, limits, ignored).run();
    if (!before) return tl::unexpected(std::move(before.error()));
    unstable.clear();
    for (const auto& [path, file] : *before) {
      if (const auto old = contents.find(path); old != contents.end() && old->second.seen == file) {
        continue;
      }
      auto bytes = read_as_seen(root.number(), path, file);
      if (!bytes) return tl::unexpected(std::move(bytes.error()));
      if (!*bytes) {
        unstable = path;
        break;
      }
      const digest name = digest::of(**bytes);
      if (auto taken = take(name, **bytes); !taken) {
        return tl::unexpected(std::move(taken.error()));
      }
      contents.insert_or_assign(path, known{.seen = file, .content = name});
    }
    if (!unstable.empty()) continue;
    // All files were the same at the moment between the two looks.
    auto after = folder_walk(root.number(), place, limits, ignored).run();
    if (!after) return tl::unexpected(std::move(after.error()));
    unstable = first_difference(*before, *after);
    if (!unstable.empty()) continue;
    manifest result;
    result.files.reserve(before->size());
    for (const auto& [path, file] : *before) {
      result.files.push_back({.path = path,
                              .executable = (file.mode & S_IXUSR) != 0,
                              .size = file.size,
                              .content = contents.at(path).content});
    }
    result.sort();
    if (auto fine = result.check(); !fine) return tl::unexpected(std::move(fine.error()));
    return result;
  }
  return refused(refusal_errc::unstable, unstable, "changes while it is read");
}

}  // namespace troupe::cluster
