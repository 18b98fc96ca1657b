// SPDX-License-Identifier: Apache-2.0
#include "runtime/pid_file.hpp"

#include "runtime/log_file.hpp"
#include "runtime/system_hint.hpp"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace troupe {
namespace {

tl::unexpected<diagnostic> failure(std::string_view call, std::string_view path) {
  return tl::unexpected(system_problem(call, path, errno));
}

}  // namespace

pid_file::pid_file(std::string path) : path_(std::move(path)) {}

pid_file::pid_file(pid_file&& other) noexcept
    : path_(std::exchange(other.path_, {})), is_aside_(other.is_aside_) {}

pid_file::~pid_file() {
  if (path_.empty()) return;
  if (auto number = read(path_); number && *number == getpid()) unlink(path_.c_str());
}

tl::expected<void, diagnostic> pid_file::step_aside() {
  if (is_aside_) return {};
  const std::string aside = path_ + ".oldbin";
  if (rename(path_.c_str(), aside.c_str()) != 0) return failure("rename", path_);
  path_ = aside;
  is_aside_ = true;
  return {};
}

void pid_file::step_back() noexcept {
  if (!is_aside_) return;
  const std::string before = path_.substr(0, path_.size() - std::string_view(".oldbin").size());
  if (rename(path_.c_str(), before.c_str()) == 0) {
    path_ = before;
    is_aside_ = false;
  }
}

tl::expected<pid_file, diagnostic> pid_file::write(std::string path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return failure("open", path);
  const std::string text = std::to_string(getpid()) + "\n";
  const bool written =
      ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int number = errno;
  close(descriptor);
  if (!written) {
    unlink(path.c_str());
    return tl::unexpected(system_problem("write", path, number));
  }
  return pid_file(std::move(path));
}

tl::expected<pid_t, diagnostic> pid_file::read(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return failure("open", path);
  char bytes[32];
  const ssize_t size = ::read(descriptor, bytes, sizeof bytes);
  const int number = errno;
  close(descriptor);
  if (size < 0)
    return tl::unexpected(system_problem("read", path, number));
  std::string_view text(bytes, static_cast<std::size_t>(size));
  text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  pid_t result = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (error != std::errc{} || end != text.data() + text.size() || result <= 0) {
    std::string reason = "invalid PID number \"";
    net::append_escaped(reason, text);
    return tl::unexpected(diagnostic{.reason = reason + "\" in \"" + path + '"'});
  }
  return result;
}

}  // namespace troupe
