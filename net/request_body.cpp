// SPDX-License-Identifier: Apache-2.0
#include "net/request_body.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace troupe::net {
namespace {
constexpr std::size_t kept_capacity = 64 * 1024;

std::error_code last_error() noexcept { return {errno, std::generic_category()}; }
}  // namespace

request_body::~request_body() { drop_file(); }

void request_body::start(std::size_t memory_limit, std::string temp_folder, bool in_file_only) {
  drop_file();
  memory_.clear();
  size_ = 0;
  failure_.clear();
  spilled_ = false;
  memory_limit_ = in_file_only ? 0 : memory_limit;
  temp_folder_ = std::move(temp_folder);
  state = body_state::reading;
  if (in_file_only) spill();
}

void request_body::spill() {
  ::mkdir(temp_folder_.c_str(), 0700);  // The common case is that it exists.
  std::string name = temp_folder_ + "/body-XXXXXX";
  fd_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0) {
    failure_ = last_error();
    return;
  }
  path_ = std::move(name);
  unlink_at_end_ = true;
  spilled_ = true;
  std::string pending = std::move(memory_);
  memory_.clear();
  size_ = 0;
  append(pending);
}

void request_body::append(std::string_view bytes) {
  if (failure_) return;
  if (fd_ < 0 && memory_.size() + bytes.size() > memory_limit_) spill();
  if (failure_) return;
  size_ += bytes.size();
  if (fd_ < 0) {
    memory_.append(bytes);
    return;
  }
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      failure_ = last_error();
      return;
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void request_body::assign(std::string_view bytes) {
  drop_file();
  memory_.assign(bytes);
  size_ = bytes.size();
  state = body_state::read;
}

std::error_code request_body::assign_file(std::string path, bool owned) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return last_error();
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    auto error = last_error();
    ::close(fd);
    return error;
  }
  if (path == path_) unlink_at_end_ = false;  // The same file again: it must survive.
  drop_file();
  memory_.clear();
  fd_ = fd;
  path_ = std::move(path);
  size_ = static_cast<std::uint64_t>(info.st_size);
  unlink_at_end_ = owned;
  state = body_state::read;
  return {};
}

std::error_code request_body::copy_to(std::string& out) const {
  if (fd_ < 0) {
    out.assign(memory_);
    return {};
  }
  out.resize(size_);
  std::size_t at = 0;
  while (at < out.size()) {
    const ssize_t n = ::pread(fd_, out.data() + at, out.size() - at, static_cast<off_t>(at));
    if (n < 0) {
      if (errno == EINTR) continue;
      return last_error();
    }
    if (n == 0) break;
    at += static_cast<std::size_t>(n);
  }
  out.resize(at);
  return {};
}

void request_body::drop_file() noexcept {
  if (fd_ < 0) return;
  ::close(fd_);
  if (unlink_at_end_) ::unlink(path_.c_str());
  fd_ = -1;
  path_.clear();
  unlink_at_end_ = false;
}

void request_body::reset() noexcept {
  drop_file();
  if (memory_.capacity() > kept_capacity) {
    std::string().swap(memory_);
  } else {
    memory_.clear();
  }
  size_ = 0;
  failure_.clear();
  spilled_ = false;
  state = body_state::unread;
}

}  // namespace troupe::net
