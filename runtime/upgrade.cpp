// SPDX-License-Identifier: Apache-2.0
#include "runtime/upgrade.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "runtime/inheritance.hpp"
#include "runtime/log_file.hpp"
#include "runtime/process.hpp"
#include "runtime/system_hint.hpp"

namespace troupe {
namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience{60};
constexpr std::size_t most_answer_bytes = 64 * 1024;

std::string end_text(int status) {
  if (WIFSIGNALED(status)) return "was ended by signal " + std::to_string(WTERMSIG(status));
  if (WEXITSTATUS(status) == 127) return "could not be executed";
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

int end_of(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

// Until "ready …", the end of the pipe, or the deadline. False: it said nothing in time.
bool listen_to(int pipe, std::string& said) {
  const auto deadline = clock::now() + patience;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()).count();
    if (left <= 0) return false;
    pollfd watched{pipe, POLLIN, 0};
    if (poll(&watched, 1, static_cast<int>(left)) <= 0) continue;
    char room[4096];
    const ssize_t got = read(pipe, room, sizeof room);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    said.append(room, static_cast<std::size_t>(got));
    if (said.starts_with("ready ") && said.ends_with('\n')) return true;
    if (said.size() > most_answer_bytes) return true;
  }
}

std::optional<successor> parse_ready(std::string_view said) {
  constexpr std::string_view word = "ready ";
  if (!said.starts_with(word) || !said.ends_with('\n')) return {};
  said.remove_prefix(word.size());
  said.remove_suffix(1);
  const auto space = said.find(' ');
  if (space == std::string_view::npos) return {};
  successor found{.version = std::string(said.substr(space + 1))};
  const auto [end, error] = std::from_chars(said.data(), said.data() + space, found.pid);
  if (error != std::errc{} || end != said.data() + space || found.pid <= 0) return {};
  return found;
}

}  // namespace

invocation invocation::of_this_process(std::vector<std::string> words) {
  invocation made;
  std::error_code error;
  made.binary = fs::read_symlink("/proc/self/exe", error).string();
  constexpr std::string_view deleted = " (deleted)";
  if (made.binary.ends_with(deleted)) made.binary.resize(made.binary.size() - deleted.size());
  made.words = std::move(words);
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    made.environment.emplace_back(*each);
  }
  made.folder = fs::current_path(error).string();
  return made;
}

upgrade::~upgrade() {
  stop_write_.reset();
  if (follower_.joinable()) follower_.join();
}

std::shared_lock<std::shared_mutex> upgrade::change() {
  std::shared_lock lock(gate_);
  if (is_closed_) lock.unlock();
  return lock;
}

bool upgrade::has_successor() {
  const std::lock_guard lock(mutex_);
  return successor_.has_value();
}

tl::expected<successor, diagnostic> upgrade::perform(const std::string& binary,
                                                     const change_author& by) {
  const std::string path = binary.empty() ? started_.binary : binary;
  auto result = [&]() -> tl::expected<successor, diagnostic> {
    {
      const std::lock_guard lock(mutex_);
      if (successor_) {
        return tl::unexpected(diagnostic{.reason = "process " + std::to_string(*successor_) +
                                                   " has taken over already"});
      }
      if (std::exchange(is_under_way_, true)) {
        return tl::unexpected(diagnostic{.reason = "another upgrade is under way"});
      }
    }
    {
      const std::unique_lock lock(gate_);  // Waits for the changes under way.
      is_closed_ = true;
    }
    auto started = start(path);
    if (started) return started;
    {
      const std::unique_lock lock(gate_);
      is_closed_ = false;
    }
    const std::lock_guard lock(mutex_);
    is_under_way_ = false;
    return started;
  }();
  if (parts_.audit != nullptr) {
    parts_.audit->write(
        "upgrade", path, by,
        result ? "done, process " + std::to_string(result->pid) + " serves" : text(result.error()),
        parts_.log());
  }
  if (result) {
    parts_.log().write(net::log_level::notice, "process " + std::to_string(result->pid) +
                                                   ", version " + result->version +
                                                   ", has taken over");
    parts_.done();
  } else {
    parts_.log().write(net::log_level::error, "upgrade failed: " + text(result.error()));
  }
  return result;
}

tl::expected<successor, diagnostic> upgrade::start(const std::string& path) {
  if (parts_.before) {
    if (auto done = parts_.before(); !done) return tl::unexpected(done.error());
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    const int number = errno;
    parts_.failed();
    return tl::unexpected(system_problem("pipe", {}, number));
  }
  const net::unique_fd read_end(ends[0]);
  net::unique_fd write_end(ends[1]);
  const auto sockets = parts_.sockets();
  const auto pid = spawn(path, write_end.get(), sockets);
  for (const listening_socket& each : sockets) close(each.descriptor);
  write_end.reset();
  if (!pid) {
    parts_.failed();
    return tl::unexpected(pid.error());
  }
  std::string said;
  const bool in_time = listen_to(read_end.get(), said);
  if (const auto ready = parse_ready(said)) {
    follow(*pid);
    return *ready;
  }
  diagnostic problem{.hint = "this process serves on"};
  if (!in_time) {
    problem.reason = path + " did not say within " + std::to_string(patience.count()) +
                     " s that it serves, and was ended";
  } else if (said.empty()) {
    problem.reason = path + " does not serve";
  } else {
    while (said.ends_with('\n')) said.pop_back();
    problem.reason = path + " refuses to start: " + said;
  }
  // It has said its last word; what does not end by itself would go on with our sockets.
  if (!in_time || said.starts_with("ready ")) kill(*pid, SIGKILL);
  int status = 0;
  const auto deadline = clock::now() + std::chrono::seconds(5);
  while (waitpid(*pid, &status, WNOHANG) == 0) {
    if (clock::now() > deadline) {
      kill(*pid, SIGKILL);
      status = end_of(*pid);
      break;
    }
    poll(nullptr, 0, 5);
  }
  if (in_time && said.empty()) problem.reason += ": it " + end_text(status);
  parts_.failed();
  return tl::unexpected(std::move(problem));
}

tl::expected<pid_t, diagnostic> upgrade::spawn(const std::string& path, int answer,
                                               const std::vector<listening_socket>& sockets) const {
  std::vector<std::string> words{path};
  words.insert(words.end(), started_.words.begin(), started_.words.end());
  std::vector<std::string> environment;
  for (const std::string& each : started_.environment) {
    if (!each.starts_with(std::string(inherited_variable) + '=')) environment.push_back(each);
  }
  environment.push_back(std::string(inherited_variable) + '=' +
                        inheritance::text(sockets, parts_.lock, answer));
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  // A descriptor that is copied onto itself survives exec.
  posix_spawn_file_actions_adddup2(&files, answer, answer);
  if (parts_.lock >= 0) posix_spawn_file_actions_adddup2(&files, parts_.lock, parts_.lock);
  for (const listening_socket& each : sockets) {
    posix_spawn_file_actions_adddup2(&files, each.descriptor, each.descriptor);
  }
  if (!started_.folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&files, started_.folder.c_str());
  }
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setsigdefault(&how, &all);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, path.c_str(), &files, &how, pointers(words).data(),
                                pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&how);
  if (error != 0) {
    return tl::unexpected(diagnostic{.reason = system_error_text("execve", path, error),
                                     .hint = "this process serves on"});
  }
  return pid;
}

// The new one is a child as long as this process lives: its end is taken note of.
void upgrade::follow(pid_t pid) {
  int ends[2];
  const std::lock_guard lock(mutex_);
  successor_ = pid;
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  stop_read_.reset(ends[0]);
  stop_write_.reset(ends[1]);
  if (follower_.joinable()) follower_.join();
  follower_ = std::thread([this, pid, stop = stop_read_.get()] {
    name_thread("upgrade");
    const net::unique_fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!process) return;
    pollfd watched[] = {{process.get(), POLLIN, 0}, {stop, POLLIN, 0}};
    while (poll(watched, 2, -1) < 0 && errno == EINTR) {
    }
    if (watched[1].revents != 0) return;
    const int status = end_of(pid);
    if (!parts_.deserted) return;
    parts_.log().write(net::log_level::notice,
                       "process " + std::to_string(pid) + " " + end_text(status));
    const std::lock_guard own(mutex_);  // Who sees what deserted() does finds the rest done too.
    parts_.deserted();
    {
      const std::unique_lock gate(gate_);
      is_closed_ = false;
    }
    successor_.reset();
    is_under_way_ = false;
  });
}

}  // namespace troupe
