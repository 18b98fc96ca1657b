// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

extern char** environ;

namespace troupe::tests {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (auto& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// Appends what is there; false at the end of the stream.
bool take(int fd, std::string& into) {
  char bytes[16384];
  const ssize_t got = ::read(fd, bytes, sizeof bytes);
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  into.append(bytes, static_cast<std::size_t>(got));
  return got > 0;
}

}  // namespace

process::process(std::vector<std::string> command, const process_options& options) {
  // A daemon's process becomes a child of the test when its parent leaves it, and can be waited
  // for.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    bool replaced = false;
    for (const auto& [name, value] : options.environment)
      replaced = replaced || (text.starts_with(name) && text.substr(name.size()).starts_with('='));
    if (!replaced) environment.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment)
    environment.emplace_back(name).append("=").append(value);
  const auto arguments = pointers(command);
  const auto variables = pointers(environment);
  const std::string folder = options.folder.string();

  int out[2] = {-1, -1};
  int err[2] = {-1, -1};
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0 ||
      ::pipe2(wake_, O_CLOEXEC) != 0) {
    ADD_FAILURE() << "no pipe: " << std::strerror(errno);
    status_ = 127;
    ended_ = true;
    return;
  }
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {  // from here to exec only what is safe in a copy of a process with threads
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, 0);
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    if (!folder.empty() && ::chdir(folder.c_str()) != 0) ::_exit(127);
    ::execvpe(arguments[0], arguments.data(), variables.data());
    const char* reason = std::strerror(errno);
    [[maybe_unused]] ssize_t written = ::write(2, reason, std::strlen(reason));
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);
  streams_[0] = out[0];
  streams_[1] = err[0];
  gatherer_ = std::thread([this, out_fd = out[0], err_fd = err[0]] { gather(out_fd, err_fd); });
}

process::~process() {
  if (!status_ && pid_ > 0) {
    signal(SIGKILL);
    wait();
  }
  if (gatherer_.joinable()) {
    ::close(wake_[1]);  // what a daemon of its left open must not hold us
    gatherer_.join();
    ::close(wake_[0]);
  }
}

void process::gather(int out_fd, int err_fd) {
  pollfd streams[3] = {{out_fd, POLLIN, 0}, {err_fd, POLLIN, 0}, {wake_[0], POLLIN, 0}};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    if (::poll(streams, 3, -1) < 0 && errno != EINTR) break;
    std::lock_guard guard(mutex_);
    if (streams[0].revents != 0 && !take(out_fd, out_)) streams[0].fd = -1;
    if (streams[1].revents != 0 && !take(err_fd, err_)) streams[1].fd = -1;
    more_.notify_all();
    if (streams[2].revents != 0) break;
  }
  std::lock_guard guard(mutex_);
  ended_ = true;
  more_.notify_all();
  ::close(out_fd);
  ::close(err_fd);
}

void process::signal(int number) const {
  if (pid_ > 0 && !status_) ::kill(pid_, number);
}

int process::wait(std::chrono::milliseconds limit) {
  if (status_) return *status_;
  status_ = wait_for_exit(pid_, limit);
  if (!status_) {
    ADD_FAILURE() << "process " << pid_ << " did not end";
    ::kill(pid_, SIGKILL);
    status_ = wait_for_exit(pid_, patience).value_or(128 + SIGKILL);
  }
  gather_rest();
  return *status_;
}

// What it wrote before its end may still be in the pipes; their end may never come, if it has left
// somebody in the background.
void process::gather_rest() const {
  for (;;) {
    {
      std::lock_guard guard(mutex_);
      int left = 0;
      if (ended_) return;
      for (const int fd : streams_) {
        int bytes = 0;
        if (::ioctl(fd, FIONREAD, &bytes) == 0) left += bytes;
      }
      if (left == 0) return;
    }
    std::this_thread::yield();
  }
}

bool process::is_running() {
  if (!status_) status_ = wait_for_exit(pid_, std::chrono::milliseconds(0));
  return !status_;
}

std::string process::out() const {
  std::lock_guard guard(mutex_);
  return out_;
}

std::string process::err() const {
  std::lock_guard guard(mutex_);
  return err_;
}

bool process::wait_for(
    const std::function<bool(const std::string& out, const std::string& err)>& enough,
    std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  bool found = false;
  more_.wait_for(lock, limit, [&] {
    found = enough(out_, err_);
    return found || ended_;
  });
  return found;
}

finished run(std::vector<std::string> command, const process_options& options) {
  process program(std::move(command), options);
  const int status = program.wait();
  // All of the output is there once the streams have ended, a moment after the process.
  program.wait_for([](const std::string&, const std::string&) { return false; },
                   std::chrono::seconds(2));
  return {status, program.out(), program.err()};
}

std::optional<int> wait_for_exit(pid_t pid, std::chrono::milliseconds limit) {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (handle >= 0) {
    pollfd exit{handle, POLLIN, 0};
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      const int ready = ::poll(&exit, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
      if (ready >= 0 || errno != EINTR) break;
    }
    ::close(handle);
    if ((exit.revents & POLLIN) == 0) return std::nullopt;
  }
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return std::nullopt;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace troupe::tests
