// SPDX-License-Identifier: Apache-2.0
#include "runtime/data_folder.hpp"

#include "runtime/log_file.hpp"
#include "runtime/pid_file.hpp"
#include "runtime/system_hint.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe {
namespace {

namespace fs = std::filesystem;

// "process 7 (troupe run app)"
std::string holder(const std::string& pid_path) {
  auto number = pid_file::read(pid_path);
  if (!number) return "another process";
  std::string result = "process " + std::to_string(*number);
  std::ifstream file("/proc/" + std::to_string(*number) + "/cmdline", std::ios::binary);
  std::string words{std::istreambuf_iterator<char>(file), {}};
  while (!words.empty() && words.back() == '\0') words.pop_back();
  if (words.empty()) return result;
  std::ranges::replace(words, '\0', ' ');
  result += " (";
  net::append_escaped(result, words);
  return result += ')';
}

const char* non_empty(const char* value) {
  return value != nullptr && *value != '\0' ? value : nullptr;
}

diagnostic refused(const std::string& folder, const std::string& what, int number) {
  std::string hint = system_hint(number);
  if (number == ENOTDIR || number == EEXIST) hint = "a file is in its way";
  return {.reason = "the data folder " + folder + " cannot be " + what + ": " +
                    std::generic_category().message(number),
          .hint = hint + (hint.empty() ? "" : "; ") + "--data DIR names another folder"};
}

// What a node writes in it; some may not be there yet. Found out at the start, since it would be much
// later otherwise: who applies would be told, and what starts would serve without.
tl::expected<void, diagnostic> check_writable(const std::string& folder) {
  for (const char* each : {"", "troupe.pid", "troupe.db", "troupe.db-wal", "troupe.db-shm",
                           "audit.log", "store", "store/tmp", "trees"}) {
    const std::string path = *each == '\0' ? folder : (fs::path(folder) / each).string();
    if (euidaccess(path.c_str(), W_OK) == 0 || errno == ENOENT) continue;
    const int number = errno;
    const std::string what = *each == '\0' ? "written" : "written, its " + std::string(each);
    return tl::unexpected(refused(folder, what, number));
  }
  return {};
}

}  // namespace

data_folder::data_folder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

data_folder::data_folder(data_folder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)),
      is_owner_(std::exchange(other.is_owner_, false)) {}

data_folder::~data_folder() {
  if (lock_ < 0) return;
  // The file stays: to remove it would race with the next one, who may have opened it already.
  if (is_owner_) [[maybe_unused]] const int ignored = ftruncate(lock_, 0);
  close(lock_);
}

tl::expected<data_folder, diagnostic> data_folder::take(std::string path) {
  std::error_code error;
  const bool existed = fs::exists(path, error);
  fs::create_directories(path, error);
  if (error) return tl::unexpected(refused(path, "made", error.value()));
  if (!existed) chmod(path.c_str(), 0700);  // create_directories() obeys the umask only
  if (auto fine = check_writable(path); !fine) return tl::unexpected(std::move(fine.error()));
  const std::string pid_path = fs::path(path) / "troupe.pid";
  const int lock = open(pid_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return tl::unexpected(refused(path, "written, its troupe.pid", errno));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    close(lock);
    if (number != EWOULDBLOCK) {
      return tl::unexpected(system_problem("flock", pid_path, number));
    }
    return tl::unexpected(
        diagnostic{.reason = "the data folder " + path + " is in use by " + holder(pid_path),
                   .hint = "give this node another --name or --data"});
  }
  data_folder taken(std::move(path), lock);
  if (auto owned = taken.own(); !owned) return tl::unexpected(owned.error());
  return taken;
}

tl::expected<void, diagnostic> data_folder::own() {
  const std::string text = std::to_string(getpid()) + "\n";
  if (ftruncate(lock_, 0) != 0 ||
      pwrite(lock_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return tl::unexpected(
        system_problem("write", path_ + "/troupe.pid", errno));
  }
  is_owner_ = true;
  return {};
}

void data_folder::give_away() noexcept {
  is_owner_ = false;
  // Not unlocked: the lock is the open file's, and the other one's too.
  if (lock_ >= 0) close(std::exchange(lock_, -1));
}

tl::expected<data_folder, diagnostic> data_folder::inherit(std::string path, int lock) {
  data_folder taken(std::move(path), lock);
  struct stat given {};
  struct stat there {};
  const std::string pid_path = fs::path(taken.path_) / "troupe.pid";
  // The lock belongs to the open file, so it is held already; another file's would be taken here.
  if (fstat(lock, &given) != 0 || stat(pid_path.c_str(), &there) != 0 ||
      given.st_ino != there.st_ino || given.st_dev != there.st_dev ||
      flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return tl::unexpected(
        diagnostic{.reason = "the lock that was handed over is not that of " + taken.path_});
  }
  return taken;
}

tl::expected<void, diagnostic> data_folder::give_to(uid_t user, gid_t group) const {
  const auto refuse = [](const std::string& path, int number) {
    return tl::unexpected(diagnostic{.reason = system_error_text("chown", path, number),
                                     .hint = "--data DIR names another folder"});
  };
  if (lchown(path_.c_str(), user, group) != 0) return refuse(path_, errno);
  std::error_code error;
  auto at = fs::recursive_directory_iterator(path_, error);
  for (const fs::recursive_directory_iterator end; !error && at != end; at.increment(error)) {
    // What another process has removed meanwhile needs no owner. No link is followed.
    if (lchown(at->path().c_str(), user, group) != 0 && errno != ENOENT) {
      return refuse(at->path(), errno);
    }
  }
  if (error) {
    return tl::unexpected(diagnostic{.reason = "cannot read the data folder " + path_ + ": " +
                                               error.message()});
  }
  return {};
}

std::string data_folder::default_path(const std::string& name) {
  if (const char* path = non_empty(std::getenv("TROUPE_DATA"))) return path;
  if (geteuid() == 0) return "/var/lib/troupe/" + name;
  if (const char* state = non_empty(std::getenv("XDG_STATE_HOME"))) {
    return fs::path(state) / "troupe" / name;
  }
  const char* home = non_empty(std::getenv("HOME"));
  return fs::path(home != nullptr ? home : "/tmp") / ".local/state/troupe" / name;
}

}  // namespace troupe
