// SPDX-License-Identifier: Apache-2.0
#include "cluster/private_file.hpp"

#include "cluster/disk.hpp"
#include "cluster/file_descriptor.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

tl::unexpected<refusal> denied(const std::string& path, std::string_view what) {
  return tl::unexpected(refusal{.errc = refusal_errc::denied,
                                .reason = '"' + path + "\" " + std::string(what),
                                .file = path});
}

// What is judged is what is read: the open file, not the name.
tl::expected<std::string, refusal> read_checked(const std::string& path, std::size_t max_bytes,
                                                mode_t forbidden, std::string_view why) {
  int number = -1;
  do {
    number = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  } while (number < 0 && errno == EINTR);
  if (number < 0 && errno == ENOENT) {
    return tl::unexpected(refusal{
        .errc = refusal_errc::missing, .reason = "there is no \"" + path + '"', .file = path});
  }
  if (number < 0) return tl::unexpected(io_refusal("open", path, errno));
  const file_descriptor file(number);
  struct stat found;
  if (fstat(number, &found) != 0) return tl::unexpected(io_refusal("fstat", path, errno));
  if (!S_ISREG(found.st_mode)) return denied(path, "is no regular file");
  if (found.st_uid != geteuid() && found.st_uid != 0) {
    return denied(path, "belongs to another user");
  }
  if ((found.st_mode & forbidden) != 0) return denied(path, why);
  std::string bytes(max_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = read(number, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(io_refusal("read", path, errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > max_bytes) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::too_large,
                .reason = '"' + path + "\" is larger than " + std::to_string(max_bytes) + " bytes",
                .file = path});
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

tl::expected<void, refusal> write_once(const std::string& path, std::string_view bytes,
                                       mode_t mode) {
  // Under a name of its own first, and then linked, which fails where there is a file already: who
  // sees the name sees a whole key, also after a power cut.
  const disk files;
  const std::string draft = path + ".new." + std::to_string(getpid());
  if (auto gone = files.remove(draft); !gone) return gone;
  auto done = files.write_new(draft, bytes, mode);
  if (done) done = files.sync_file(draft);
  bool is_there = false;
  if (done && link(draft.c_str(), path.c_str()) != 0) {
    is_there = errno == EEXIST;
    done = tl::unexpected(io_refusal("link", path, errno));
  }
  if (auto gone = files.remove(draft); done && !gone) done = gone;
  if (is_there) {
    return tl::unexpected(refusal{.errc = refusal_errc::conflict,
                                  .reason = '"' + path + "\" is there already",
                                  .file = path});
  }
  const auto slash = path.find_last_of('/');
  if (done) done = files.sync_folder(slash == std::string::npos ? "." : path.substr(0, slash + 1));
  return done;
}

tl::expected<void, refusal> write_private(const std::string& path, std::string_view bytes) {
  return write_once(path, bytes, 0600);
}

tl::expected<std::string, refusal> read_private(const std::string& path, std::size_t max_bytes) {
  return read_checked(
      path, max_bytes, S_IRWXG | S_IRWXO,
      "can be read by others; chmod 600 it, and if they may have read it, make new keys");
}

tl::expected<std::string, refusal> read_guarded(const std::string& path, std::size_t max_bytes) {
  return read_checked(path, max_bytes, S_IWGRP | S_IWOTH, "can be written by others; chmod 644 it");
}

}  // namespace troupe::cluster
