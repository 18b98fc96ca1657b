// SPDX-License-Identifier: Apache-2.0
#include "runtime/process.hpp"

#include "runtime/environment.hpp"
#include "runtime/log_file.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

namespace troupe {
namespace {

tl::unexpected<diagnostic> failure(std::string_view call, std::string_view subject) {
  return tl::unexpected(diagnostic{.reason = system_error_text(call, subject, errno)});
}

tl::expected<void, diagnostic> set_limit(decltype(RLIMIT_NOFILE) resource, std::string_view name,
                                         rlim_t value) {
  rlimit limit{};
  getrlimit(resource, &limit);
  limit.rlim_cur = value;
  limit.rlim_max = std::max(limit.rlim_max, value);  // more than the hard limit needs root
  if (setrlimit(resource, &limit) != 0) {
    return failure("setrlimit", std::string(name) + ", " + std::to_string(value));
  }
  return {};
}

void raise_open_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, 1'048'576);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

tl::expected<void, diagnostic> apply(const process_settings& settings) {
  filter_environment(settings.environment);
  if (settings.open_files) {
    auto set = set_limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", *settings.open_files);
    if (!set) return set;
  } else {
    raise_open_files();
  }
  if (settings.core_bytes) {
    auto set = set_limit(RLIMIT_CORE, "RLIMIT_CORE", *settings.core_bytes);
    if (!set) return set;
  }
  if (!settings.working_directory.empty() && chdir(settings.working_directory.c_str()) != 0) {
    return failure("chdir", settings.working_directory);
  }
  return {};
}

tl::expected<std::optional<process_identity>, diagnostic> identity_of(
    const process_settings& settings) {
  if (geteuid() != 0 || settings.user.empty() || !settings.master_process) return std::nullopt;
  errno = 0;
  const passwd* user = getpwnam(settings.user.c_str());
  if (user == nullptr) return failure("getpwnam", settings.user);
  process_identity result{.user = user->pw_uid, .group = user->pw_gid};
  if (!settings.group.empty()) {
    errno = 0;
    const group* named = getgrnam(settings.group.c_str());
    if (named == nullptr) return failure("getgrnam", settings.group);
    result.group = named->gr_gid;
  }
  if (result.user == 0) return std::nullopt;
  return result;
}

tl::expected<void, diagnostic> drop_privileges(const process_settings& settings) {
  const auto other = identity_of(settings);
  if (!other) return tl::unexpected(other.error());
  if (!*other) return {};
  const auto [user, group] = **other;
  if (setgid(group) != 0) return failure("setgid", settings.group);
  if (initgroups(settings.user.c_str(), group) != 0) return failure("initgroups", settings.user);
  if (setuid(user) != 0) return failure("setuid", settings.user);
  return {};
}

void name_thread(const std::string& name) noexcept {
  char cut[16] = {};
  name.copy(cut, sizeof cut - 1);
  pthread_setname_np(pthread_self(), cut);
}

}  // namespace troupe
