// SPDX-License-Identifier: Apache-2.0
//
// A program that a test starts: its output as it comes, its exit status, and its end with the
// test's.
//
// Thread   the test's, one at a time; a thread of its own gathers the output.
// Errors   a program that cannot be started exits with 127, as in a shell. Whoever waits too long
//          fails the test and goes on.
// Called   by test_node; by tests of commands that end by themselves (`troupe check`).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace troupe::tests {

/// How long a test waits for what must happen before it gives up: far longer than anything takes,
/// sanitizers on a busy machine included.
constexpr std::chrono::seconds patience{60};

struct process_options {
  std::filesystem::path folder = {};  ///< Where it runs; empty: here.
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< Beside that of the test.
};

class process {
 public:
  explicit process(std::vector<std::string> command, const process_options& options = {});
  /// Kills it if it still runs.
  ~process();
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  void signal(int number) const;
  /// Waits for its end. @return its exit status, or 128 + the signal that ended it
  int wait(std::chrono::milliseconds limit = patience);
  [[nodiscard]] bool is_running();

  [[nodiscard]] std::string out() const;  ///< What it has written to stdout so far.
  [[nodiscard]] std::string err() const;
  /// Waits until what it wrote satisfies `enough`. @return false if it ended without
  bool wait_for(const std::function<bool(const std::string& out, const std::string& err)>& enough,
                std::chrono::milliseconds limit = patience) const;

 private:
  void gather(int out_fd, int err_fd);
  void gather_rest() const;

  pid_t pid_ = -1;
  std::optional<int> status_;
  mutable std::mutex mutex_;  // guards what the gathering thread writes
  mutable std::condition_variable more_;
  std::string out_, err_;
  bool ended_ = false;
  int streams_[2] = {-1, -1};  // guarded too; closed when ended_
  int wake_[2] = {-1, -1};
  std::thread gatherer_;
};

struct finished {
  int status;
  std::string out, err;
};

/// Runs a program that ends by itself.
finished run(std::vector<std::string> command, const process_options& options = {});

/// Waits for the end of a child, or of a grandchild whose parent is gone.
/// @return its exit status, 128 + the signal that ended it, or nothing if it still runs
std::optional<int> wait_for_exit(pid_t pid, std::chrono::milliseconds limit);

}  // namespace troupe::tests
