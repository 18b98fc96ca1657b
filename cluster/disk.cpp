// SPDX-License-Identifier: Apache-2.0
#include "cluster/disk.hpp"

#include "cluster/file_descriptor.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

tl::unexpected<refusal> failed(std::string_view call, const std::string& path, int number) {
  return tl::unexpected(io_refusal(call, path, number));
}

int open_file(const std::string& path, int flags, mode_t mode = 0) {
  int result = -1;
  do {
    result = open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (result < 0 && errno == EINTR);
  return result;
}

}  // namespace

disk::disk(step_hook before_step) : before_step_(std::move(before_step)) {}

tl::expected<void, refusal> disk::step(std::string_view call, const std::string& path) const {
  if (!before_step_) return {};
  if (const int number = before_step_(call, path); number != 0) return failed(call, path, number);
  return {};
}

tl::expected<void, refusal> disk::make_folder(const std::string& path, mode_t mode) const {
  struct stat found;
  if (stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) return {};
  if (const auto slash = path.find_last_of('/', path.size() - 2);
      slash != std::string::npos && slash > 0) {
    if (auto above = make_folder(path.substr(0, slash), mode); !above) return above;
  }
  if (auto allowed = step("mkdir", path); !allowed) return allowed;
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return failed("mkdir", path, errno);
  // A file of that name is EEXIST, too.
  if (stat(path.c_str(), &found) != 0) return failed("stat", path, errno);
  if (!S_ISDIR(found.st_mode)) return failed("mkdir", path, ENOTDIR);
  return {};
}

tl::expected<void, refusal> disk::write_new(const std::string& path, std::string_view bytes,
                                            mode_t mode) const {
  if (auto allowed = step("open", path); !allowed) return allowed;
  file_descriptor file(open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  if (!file.is_open()) return failed("open", path, errno);
  const auto give_up = [&](std::string_view call, int number) {
    unlink(path.c_str());
    return failed(call, path, number);
  };
  if (auto allowed = step("write", path); !allowed) {
    unlink(path.c_str());
    return allowed;
  }
  while (!bytes.empty()) {
    const ssize_t written = write(file.number(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return give_up("write", written < 0 ? errno : ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  // The umask does not decide about what a release says.
  if (fchmod(file.number(), mode) != 0) return give_up("fchmod", errno);
  // Some file systems (NFS, quotas) tell of a full disk here only.
  if (close(file.release()) != 0 && errno != EINTR) return give_up("close", errno);
  return {};
}

void disk::begin_sync(const std::string& path) const {
  const file_descriptor file(open_file(path, O_RDONLY));
  if (file.is_open()) sync_file_range(file.number(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

tl::expected<void, refusal> disk::sync_file(const std::string& path) const {
  if (auto allowed = step("fsync", path); !allowed) return allowed;
  const file_descriptor file(open_file(path, O_RDONLY));
  if (!file.is_open()) return failed("open", path, errno);
  if (fsync(file.number()) != 0) return failed("fsync", path, errno);
  return {};
}

tl::expected<void, refusal> disk::sync_folder(const std::string& path) const {
  if (auto allowed = step("fsync", path); !allowed) return allowed;
  const file_descriptor file(open_file(path, O_RDONLY | O_DIRECTORY));
  if (!file.is_open()) return failed("open", path, errno);
  if (fsync(file.number()) != 0 && errno != EINVAL) return failed("fsync", path, errno);
  return {};
}

tl::expected<void, refusal> disk::sync_file_system(const std::string& path) const {
  if (auto allowed = step("syncfs", path); !allowed) return allowed;
  const file_descriptor file(open_file(path, O_RDONLY | O_DIRECTORY));
  if (!file.is_open()) return failed("open", path, errno);
  if (syncfs(file.number()) != 0) return failed("syncfs", path, errno);
  return {};
}

tl::expected<void, refusal> disk::rename(const std::string& from, const std::string& to) const {
  if (auto allowed = step("rename", to); !allowed) return allowed;
  if (std::rename(from.c_str(), to.c_str()) != 0) return failed("rename", to, errno);
  return {};
}

tl::expected<void, refusal> disk::link(const std::string& from, const std::string& to) const {
  if (auto allowed = step("link", to); !allowed) return allowed;
  if (::link(from.c_str(), to.c_str()) != 0) return failed("link", to, errno);
  return {};
}

tl::expected<void, refusal> disk::set_time(const std::string& path,
                                           const timespec& modified) const {
  const timespec times[2] = {modified, modified};
  if (utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) return failed("utimensat", path, errno);
  return {};
}

tl::expected<void, refusal> disk::remove(const std::string& path) const {
  if (auto allowed = step("unlink", path); !allowed) return allowed;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return failed("unlink", path, errno);
  return {};
}

tl::expected<void, refusal> disk::remove_all(const std::string& path) const {
  if (auto allowed = step("unlink", path); !allowed) return allowed;
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return failed("unlink", path, error.value());
  return {};
}

tl::expected<std::string, refusal> read_whole(const std::string& path, std::uint64_t max_bytes) {
  const file_descriptor file(open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  if (!file.is_open()) return failed("open", path, errno);
  struct stat found;
  if (fstat(file.number(), &found) != 0) return failed("fstat", path, errno);
  if (!S_ISREG(found.st_mode)) {
    return tl::unexpected(refusal{.errc = refusal_errc::bad_kind,
                                  .reason = '"' + path + "\" is no regular file",
                                  .file = path});
  }
  const auto too_large = [&] {
    return tl::unexpected(
        refusal{.errc = refusal_errc::too_large,
                .reason = '"' + path + "\" is larger than " + std::to_string(max_bytes) + " bytes",
                .file = path});
  };
  if (static_cast<std::uint64_t>(found.st_size) > max_bytes) return too_large();
  // One byte more than there should be, so that its end is seen without a second look.
  std::string bytes(static_cast<std::size_t>(found.st_size) + 1, '\0');
  std::size_t size = 0;
  for (;;) {
    if (size == bytes.size()) bytes.resize(size + size / 2);
    const ssize_t got = read(file.number(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > max_bytes) return too_large();
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace troupe::cluster
