// SPDX-License-Identifier: Apache-2.0
#include "net/child_process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "net/child_reaper.hpp"

namespace troupe::net {
namespace {

std::error_code last_error() noexcept { return {errno, std::generic_category()}; }

// glibc 2.36 declares its own without extern "C".
int signal_through(int pidfd, int number) noexcept {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0));
}

struct pipe_pair {
  unique_fd read, write;
};

// Above the standard three, so that putting one into its place in the child overwrites no other.
bool lift(unique_fd& fd) noexcept {
  if (fd.get() > STDERR_FILENO) return true;
  fd.reset(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  return static_cast<bool>(fd);
}

bool open_pipe(pipe_pair& made) noexcept {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return false;
  made.read.reset(fds[0]);
  made.write.reset(fds[1]);
  return lift(made.read) && lift(made.write);
}

// What the child does between clone() and execve(). It runs in the memory of its parent, whose thread
// stands still meanwhile: system calls only, those that sanitizers watch made directly, so that
// their books of this process stay right.
struct launch {
  int in, out, err;
  const char* program;
  char* const* words;
  char* const* environment;
  volatile int error = 0;
};

__attribute__((no_sanitize("address", "thread", "undefined"))) int start(void* argument) noexcept {
  auto& it = *static_cast<launch*>(argument);
  // All zeros is SIG_DFL in the kernel's struct sigaction. What is ignored would stay so.
  const unsigned long standard[4] = {};
  for (int number = 1; number < NSIG; ++number) {
    ::syscall(SYS_rt_sigaction, number, standard, nullptr, NSIG / 8);
  }
  const unsigned long none[2] = {};
  if (::syscall(SYS_dup3, it.in, STDIN_FILENO, 0) >= 0 &&
      ::syscall(SYS_dup3, it.out, STDOUT_FILENO, 0) >= 0 &&
      ::syscall(SYS_dup3, it.err, STDERR_FILENO, 0) >= 0) {
    // Ours are close-on-exec; this is for those of libraries and of io.open. Kernels before 5.9 say
    // ENOSYS, and no more is lost.
    ::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, nullptr, NSIG / 8);
    ::execvpe(it.program, it.words, it.environment);
  }
  it.error = errno;
  ::syscall(SYS_exit_group, EXIT_FAILURE);
  return 0;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

/// -1: see errno.
pid_t launch_on_a_stack(launch& what, std::size_t word_count, int& pidfd) noexcept {
  // execvpe() has the paths that it tries there, and the words again if it is a script.
  constexpr std::size_t page = 4096;
  const std::size_t size = (word_count * sizeof(char*) + 64 * 1024 + page - 1) / page * page;
  void* stack = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -1;
  // A handler must not run in the child while it has our memory.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const pid_t pid = ::clone(start, static_cast<char*>(stack) + size,
                            CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &what, &pidfd);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::munmap(stack, size);
  errno = error;
  return pid;
}

// A pipe has no MSG_NOSIGNAL. A program that ignores SIGPIPE does not need this, but that is not ours
// to know.
ssize_t write_quietly(int fd, std::span<const char> bytes) noexcept {
  sigset_t pipe, before, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigemptyset(&pending);
  ::sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
  ssize_t n = 0;
  do {
    n = ::write(fd, bytes.data(), bytes.size());
  } while (n < 0 && errno == EINTR);
  const int error = errno;
  if (n < 0 && error == EPIPE && !was_pending) {
    const timespec at_once{};
    ::sigtimedwait(&pipe, nullptr, &at_once);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return n;
}

}  // namespace

child_process::child_process(event_loop& loop, child_reaper& reaper, observer& watcher) noexcept
    : loop_(loop), reaper_(reaper), watcher_(watcher) {
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    ends_[i].self = this;
    ends_[i].which = static_cast<child_stream>(i);
  }
  end_watch_.self = this;
}

tl::expected<std::unique_ptr<child_process>, child_process::failure> child_process::spawn(
    event_loop& loop, child_reaper& reaper, const child_command& command, observer& watcher) {
  pipe_pair in, out, err;
  if (!open_pipe(in) || !open_pipe(out) || (!command.merges_stderr && !open_pipe(err))) {
    return tl::unexpected(failure{"pipe", last_error()});
  }
  const std::vector<char*> words = pointers(command.words);
  const std::vector<char*> environment = pointers(command.environment);
  launch what{.in = in.read.get(),
              .out = out.write.get(),
              .err = command.merges_stderr ? out.write.get() : err.write.get(),
              .program = command.words.front().c_str(),
              .words = words.data(),
              .environment = command.environment.empty() ? environ : environment.data()};
  int pidfd = -1;
  const pid_t pid = launch_on_a_stack(what, words.size(), pidfd);
  if (pid < 0) return tl::unexpected(failure{"fork", last_error()});

  std::unique_ptr<child_process> made(new child_process(loop, reaper, watcher));
  made->pid_ = pid;
  made->pidfd_.reset(pidfd);
  if (what.error != 0) made->exec_error_ = {what.error, std::generic_category()};
  made->ends_[0].fd = std::move(in.write);
  made->ends_[1].fd = std::move(out.read);
  made->ends_[2].fd = std::move(err.read);
  for (const pipe_end& one : made->ends_) {
    if (one.fd) ::fcntl(one.fd.get(), F_SETFL, O_NONBLOCK);
  }
  if (const auto error = loop.watch(pidfd, made->end_watch_)) {
    return tl::unexpected(failure{"epoll", error});
  }
  return made;
}

child_process::~child_process() {
  for (const pipe_end& one : ends_) close(one.which);
  if (!pidfd_) return;
  loop_.forget(pidfd_.get(), end_watch_);
  signal_through(pidfd_.get(), SIGKILL);
  reaper_.adopt(std::move(pidfd_));
}

void child_process::on_end() noexcept {
  end_ = child_reaper::reap(pidfd_.get());
  if (!end_) return;
  loop_.forget(pidfd_.get(), end_watch_);
  pidfd_.reset();
  watcher_.on_child_ended();
}

std::error_code child_process::send_signal(int number) noexcept {
  if (!pidfd_) return std::make_error_code(std::errc::no_such_process);
  if (signal_through(pidfd_.get(), number) != 0) return last_error();
  return {};
}

void child_process::close(child_stream which) noexcept {
  pipe_end& one = ends_[static_cast<std::size_t>(which)];
  if (!one.fd) return;
  if (one.is_watched) loop_.forget(one.fd.get(), one);
  one.fd.reset();
}

std::error_code child_process::watch(pipe_end& one, std::uint32_t events) noexcept {
  if (one.is_watched) return {};
  const std::error_code error = loop_.watch(one.fd.get(), one, events | EPOLLET);
  one.is_watched = !error;
  return error;
}

io_result child_process::result_of(ssize_t n, pipe_end& one, std::uint32_t events) noexcept {
  if (n >= 0) return {static_cast<std::size_t>(n), {}};
  if (errno != EAGAIN) return {0, last_error()};
  if (const auto error = watch(one, events)) return {0, error};
  return {0, std::make_error_code(std::errc::operation_would_block)};
}

io_result child_process::read(child_stream which, std::span<char> into) noexcept {
  pipe_end& one = ends_[static_cast<std::size_t>(which)];
  ssize_t n = 0;
  do {
    n = ::read(one.fd.get(), into.data(), into.size());
  } while (n < 0 && errno == EINTR);
  return result_of(n, one, EPOLLIN);
}

io_result child_process::write(std::span<const char> bytes) noexcept {
  pipe_end& one = ends_[static_cast<std::size_t>(child_stream::in)];
  return result_of(write_quietly(one.fd.get(), bytes), one, EPOLLOUT);
}

}  // namespace troupe::net
