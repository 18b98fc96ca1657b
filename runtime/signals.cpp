// SPDX-License-Identifier: Apache-2.0
#include "runtime/signals.hpp"

#include "runtime/log_file.hpp"
#include "runtime/system_hint.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace troupe {
namespace {

constexpr int handled[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH};

std::atomic<int> handler_pipe = -1;
static_assert(std::atomic<int>::is_always_lock_free);

void handle(int number, siginfo_t* info, void*) {
  const int saved = errno;
  const signals::event event{number, info->si_code > 0 ? 0 : info->si_pid};
  // A full pipe has more signals in it than anyone will care about.
  [[maybe_unused]] const ssize_t ignored = write(handler_pipe.load(), &event, sizeof event);
  errno = saved;
}

}  // namespace

signals::signals(int read_end, int write_end) : read_end_(read_end), write_end_(write_end) {}

signals::signals(signals&& other) noexcept
    : read_end_(std::exchange(other.read_end_, -1)),
      write_end_(std::exchange(other.write_end_, -1)) {}

signals::~signals() {
  if (read_end_ < 0) return;
  for (const int number : handled) std::signal(number, SIG_DFL);
  handler_pipe = -1;
  close(read_end_);
  close(write_end_);
}

tl::expected<signals, diagnostic> signals::install() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return tl::unexpected(system_problem("pipe2", {}, errno));
  }
  fcntl(ends[1], F_SETFL, O_NONBLOCK);  // a handler must not wait
  signals result(ends[0], ends[1]);
  handler_pipe = ends[1];
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  for (const int number : handled) sigaction(number, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return result;
}

signals::event signals::next() noexcept {
  event result;
  ssize_t got = 0;
  pollfd ready{read_end_, POLLIN, 0};
  do {
    // ThreadSanitizer runs handlers during poll(), but not during a read() that is restarted.
    poll(&ready, 1, -1);
    got = read(read_end_, &result, sizeof result);
  } while (got < 0 && errno == EINTR);
  return got == sizeof result ? result : event{};
}

void signals::wake() noexcept {
  const event nothing;
  [[maybe_unused]] const ssize_t ignored = write(write_end_, &nothing, sizeof nothing);
}

std::string_view signal_name(int number) noexcept {
  switch (number) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGQUIT:
      return "SIGQUIT";
    case SIGHUP:
      return "SIGHUP";
    case SIGUSR1:
      return "SIGUSR1";
    case SIGUSR2:
      return "SIGUSR2";
    case SIGWINCH:
      return "SIGWINCH";
    default:
      return "a signal";
  }
}

}  // namespace troupe
