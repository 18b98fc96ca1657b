// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/system_hint.hpp"

namespace troupe {

std::string system_error_text(std::string_view call, std::string_view path, int number) {
  const char* reason = strerrordesc_np(number);
  std::string result(call);
  result += "() ";
  if (!path.empty()) {
    result += '"';
    net::append_escaped(result, path);
    result += "\" ";
  }
  result += "failed (" + std::to_string(number) + ": ";
  result += reason != nullptr ? reason : "Unknown error";
  return result += ')';
}

namespace {

tl::expected<int, diagnostic> open_descriptor(const std::string& path) {
  const int descriptor =
      path == "stderr" ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                       : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return tl::unexpected(system_problem("open", path, errno));
  }
  return descriptor;
}

}  // namespace

log_file::log_file(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

log_file::~log_file() {
  ::close(descriptor_);
}

tl::expected<std::shared_ptr<const log_file>, diagnostic> log_file::open(std::string path) {
  auto descriptor = open_descriptor(path);
  if (!descriptor) return tl::unexpected(std::move(descriptor.error()));
  return std::shared_ptr<const log_file>(new log_file(std::move(path), *descriptor));
}

void log_file::write(std::string_view first, std::string_view second, std::string_view third,
                     std::string_view fourth) const noexcept {
  std::array<iovec, 4> parts;
  int count = 0;
  for (std::string_view part : {first, second, third, fourth}) {
    if (!part.empty()) parts[count++] = {const_cast<char*>(part.data()), part.size()};
  }
  const int saved = errno;  // who logs an error must be able to look at errno afterwards
  if (count == 1) {  // cheaper than a writev() of one
    while (::write(descriptor_, parts[0].iov_base, parts[0].iov_len) < 0 && errno == EINTR) {
    }
    errno = saved;
    return;
  }
  while (::writev(descriptor_, parts.data(), count) < 0 && errno == EINTR) {
  }
  errno = saved;
}

tl::expected<void, diagnostic> log_file::reopen() const {
  if (path_ == "stderr") return {};
  auto fresh = open_descriptor(path_);
  if (!fresh) return tl::unexpected(std::move(fresh.error()));
  while (dup3(*fresh, descriptor_, O_CLOEXEC) < 0 && (errno == EINTR || errno == EBUSY)) {
  }
  ::close(*fresh);
  return {};
}

tl::expected<std::shared_ptr<const log_file>, diagnostic> log_files::open(const std::string& path) {
  std::lock_guard lock(mutex_);
  std::erase_if(files_, [](const auto& entry) { return entry.second.expired(); });
  if (auto known = files_.find(path); known != files_.end()) {
    if (auto file = known->second.lock()) return file;
  }
  auto file = log_file::open(path);
  if (file) files_[path] = *file;
  return file;
}

diagnostics log_files::reopen() {
  std::vector<std::shared_ptr<const log_file>> open_files;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [path, known] : files_) {
      if (auto file = known.lock()) open_files.push_back(std::move(file));
    }
  }
  diagnostics failures;
  for (const auto& file : open_files) {
    if (auto opened = file->reopen(); !opened) failures.push_back(std::move(opened.error()));
  }
  return failures;
}

}  // namespace troupe
