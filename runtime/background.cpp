// SPDX-License-Identifier: Apache-2.0
#include "runtime/background.hpp"

#include "runtime/log_file.hpp"
#include "runtime/system_hint.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe {
namespace {

[[noreturn]] void follow(int pipe, pid_t child) {
  char word = 0;
  ssize_t got = 0;
  do {
    got = read(pipe, &word, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) _exit(0);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  _exit(code == 0 ? 1 : code);  // it left without a word: nobody listens
}

}  // namespace

background::background(int pipe) : pipe_(pipe) {}
background::background(background&& other) noexcept : pipe_(std::exchange(other.pipe_, -1)) {}
background::~background() {
  if (pipe_ >= 0) close(pipe_);
}

tl::expected<background, diagnostic> background::enter() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return tl::unexpected(system_problem("pipe2", {}, errno));
  }
  const pid_t child = fork();
  if (child < 0) {
    const int number = errno;
    close(ends[0]);
    close(ends[1]);
    return tl::unexpected(diagnostic{.reason = system_error_text("fork", {}, number)});
  }
  if (child > 0) {
    close(ends[1]);
    follow(ends[0], child);
  }
  close(ends[0]);
  setsid();
  umask(0);
  return background(ends[1]);
}

void background::ready(const std::string& error_log) noexcept {
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere >= 0) {
    dup2(nowhere, STDIN_FILENO);
    dup2(nowhere, STDOUT_FILENO);
    close(nowhere);
  }
  redirect_stderr(error_log);
  const char word = 1;
  [[maybe_unused]] const ssize_t ignored = write(pipe_, &word, 1);
  close(std::exchange(pipe_, -1));
}

void redirect_stderr(const std::string& error_log) noexcept {
  if (error_log.empty() || error_log == "stderr") return;
  const int file = open(error_log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return;
  dup2(file, STDERR_FILENO);
  close(file);
}

}  // namespace troupe
