// SPDX-License-Identifier: Apache-2.0
#include "net/child_reaper.hpp"

#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

namespace troupe::net {
namespace {
// SIGKILL takes effect at once unless the child is inside an uninterruptible system call.
constexpr int patience_ms = 1000;
}  // namespace

std::optional<child_end> child_reaper::reap(int pidfd) noexcept {
  siginfo_t info{};
  int result = 0;
  do {
    result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return child_end{};
  if (info.si_pid == 0) return {};
  return child_end{info.si_code == CLD_EXITED ? child_end::how::exited : child_end::how::signalled,
                   info.si_status};
}

child_reaper::~child_reaper() {
  for (const auto& one : orphans_) {
    loop_.forget(one->pidfd.get(), *one);
    pollfd ended{one->pidfd.get(), POLLIN, 0};
    ::poll(&ended, 1, patience_ms);
    reap(one->pidfd.get());
  }
}

void child_reaper::adopt(unique_fd pidfd) noexcept {
  auto one = std::make_unique<orphan>();
  one->self = this;
  one->pidfd = std::move(pidfd);
  // An end that has come already is an event too.
  if (loop_.watch(one->pidfd.get(), *one)) {
    pollfd ended{one->pidfd.get(), POLLIN, 0};
    ::poll(&ended, 1, patience_ms);
    reap(one->pidfd.get());
    return;
  }
  orphans_.push_back(std::move(one));
}

void child_reaper::on_end(orphan& one) noexcept {
  if (!reap(one.pidfd.get())) return;
  loop_.forget(one.pidfd.get(), one);
  std::erase_if(orphans_, [&](const auto& other) { return other.get() == &one; });
}

}  // namespace troupe::net
