// SPDX-License-Identifier: Apache-2.0
//
// A child process whose stdin, stdout and stderr are pipes of ours, without blocking. Its end is seen
// through a pidfd, so nobody has to handle SIGCHLD, and nobody else's children are touched.
//
// Source   clone(2) (CLONE_PIDFD), pidfd_send_signal(2), waitid(2), pipe(7), execvp(3).
// Thread   that of its event loop. Starting one holds the thread until the program is executed.
// Errors   std::error_code of the system. A program that cannot be executed is a child that exits
//          with 1, as after fork(); exec_error() says why.
// Memory   four descriptors (three if stderr goes to stdout), closed as the streams are.
// Called   by lua/pipe.
#pragma once

#include <sys/types.h>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <tl/expected.hpp>
#include <vector>

#include "net/event_loop.hpp"
#include "net/socket.hpp"

namespace troupe::net {

class child_reaper;

enum class child_stream { in, out, err };

struct child_command {
  std::vector<std::string> words;  ///< Not empty; the first is looked for in PATH as execvp does.
  std::vector<std::string> environment;  ///< NAME=value; empty: that of this process.
  bool merges_stderr = false;            ///< What it writes to stderr goes to stdout.
};

struct child_end {
  enum class how { exited, signalled, unknown };  ///< unknown: somebody else has reaped it.
  how what = how::unknown;
  int code = 0;  ///< Exit status, or number of the signal.
};

class child_process {
public:
  class observer {
  public:
    /// It may be read or written, or has ended: try again.
    virtual void on_stream_ready(child_stream which) noexcept = 0;
    /// end() says how.
    virtual void on_child_ended() noexcept = 0;

  protected:
    ~observer() = default;
  };
  struct failure {
    const char* call;  ///< "pipe", "fork", "epoll"
    std::error_code error;
  };

  /// Signals are as they were by default in the child, none is blocked, and it has no descriptor of
  /// ours but the three.
  /// @param reaper  takes over who still runs when this object ends; outlives it.
  static tl::expected<std::unique_ptr<child_process>, failure> spawn(event_loop& loop,
                                                                     child_reaper& reaper,
                                                                     const child_command& command,
                                                                     observer& watcher);
  /// Ends the child with SIGKILL if it still runs.
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] const std::error_code& exec_error() const noexcept { return exec_error_; }
  /// Nothing while it runs, as far as the loop knows.
  [[nodiscard]] const std::optional<child_end>& end() const noexcept { return end_; }
  /// ESRCH once it has ended.
  std::error_code send_signal(int number) noexcept;

  /// bytes 0 without error: the child, and whoever inherited from it, has closed it.
  io_result read(child_stream which, std::span<char> into) noexcept;
  /// EPIPE: nobody reads any more. It raises no signal.
  io_result write(std::span<const char> bytes) noexcept;
  [[nodiscard]] bool is_open(child_stream which) const noexcept {
    return static_cast<bool>(ends_[static_cast<std::size_t>(which)].fd);
  }
  void close(child_stream which) noexcept;

private:
  struct pipe_end final : io_handler {
    child_process* self = nullptr;
    child_stream which = child_stream::in;
    unique_fd fd;
    bool is_watched = false;
    void on_io(std::uint32_t) noexcept override { self->watcher_.on_stream_ready(which); }
  };
  struct end_watch final : io_handler {
    child_process* self = nullptr;
    void on_io(std::uint32_t) noexcept override { self->on_end(); }
  };

  child_process(event_loop& loop, child_reaper& reaper, observer& watcher) noexcept;
  void on_end() noexcept;
  /// From its first EAGAIN on; until then nobody waits.
  std::error_code watch(pipe_end& one, std::uint32_t events) noexcept;
  io_result result_of(ssize_t n, pipe_end& one, std::uint32_t events) noexcept;

  event_loop& loop_;
  child_reaper& reaper_;
  observer& watcher_;
  pid_t pid_ = -1;
  unique_fd pidfd_;
  std::error_code exec_error_;
  std::optional<child_end> end_;
  std::array<pipe_end, 3> ends_;
  end_watch end_watch_;
};

}  // namespace troupe::net
