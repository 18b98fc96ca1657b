// SPDX-License-Identifier: Apache-2.0
#include "runtime/system_hint.hpp"

#include <array>
#include <cerrno>
#include <charconv>

#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/log_file.hpp"

namespace troupe {
namespace {

std::string user_text() {
  const uid_t number = geteuid();
  passwd entry{};
  passwd* user = nullptr;
  std::array<char, 4096> room{};
  if (getpwuid_r(number, &entry, room.data(), room.size(), &user) != 0 || user == nullptr) {
    return "user " + std::to_string(number);
  }
  return "user " + std::string(user->pw_name);
}

std::string most_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return "so many";
  return std::to_string(limit.rlim_cur);
}

}  // namespace

std::string system_hint(int error_number) {
  switch (error_number) {
    case EMFILE:
      return "this process may open " + most_descriptors() +
             " files: more by `ulimit -n`, LimitNOFILE= of systemd, or worker_rlimit_nofile";
    case ENFILE:
      return "no process of this machine can open more files: see fs.file-max of sysctl";
    case EROFS:
      return "its file system is mounted read-only: mount it writable, and look why it is not "
             "(`dmesg` tells of disks that fail)";
    case EACCES:
    case EPERM:
      return user_text() + " has no right to that: chown or chmod give it";
    case ENOSPC:
    case EDQUOT:
      return "make room on that disk";
    default:
      return {};
  }
}

diagnostic system_problem(std::string_view call, std::string_view path, int error_number) {
  return {.reason = system_error_text(call, path, error_number), .hint = system_hint(error_number)};
}

int error_number_in(std::string_view reason) noexcept {
  constexpr std::string_view before = "failed (";
  const auto at = reason.rfind(before);
  if (at == std::string_view::npos) return 0;
  reason.remove_prefix(at + before.size());
  int number = 0;
  const auto [end, error] = std::from_chars(reason.data(), reason.data() + reason.size(), number);
  const bool is_whole = end != reason.data() + reason.size() && *end == ':';
  return error == std::errc{} && is_whole ? number : 0;
}

}  // namespace troupe
