// SPDX-License-Identifier: Apache-2.0
//
// A child process as Lua sees it: each of its streams, and its end, one coroutine may wait for, of
// whichever request of the VM. It belongs to the request (with its subrequests), timer or worker whose
// code made it, and is killed with that.
//
// Source   "ngx.pipe" of lua-resty-core (its lib/ngx/pipe.md).
// Thread   that of its script.
// Errors   the words of that page: "timeout", "closed", "aborted", "exited", "pipe busy reading" …
// Memory   what was read and not yet asked for; freed with the process.
// Called   by lua/api/pipe.cpp.
#pragma once

#include <lua.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lua/wait_table.hpp"
#include "net/belongings.hpp"
#include "net/child_process.hpp"
#include "net/timer_wheel.hpp"

namespace troupe::net {
class event_loop;
class log_context;
}  // namespace troupe::net

namespace troupe::lua {

class script;
class script_host;

class pipe_process final : public net::belonging, private net::child_process::observer {
public:
  enum class part { in, out, err, end };  ///< What may be waited for; the streams as child_stream.
  enum class goal { all, bytes, line, any };

  struct options {
    net::child_command command;
    std::size_t buffer_size = 4096;
    /// By part, in milliseconds; 0: for ever.
    std::array<std::int64_t, 4> timeouts{};
  };
  /// The error is a text.
  static tl::expected<std::unique_ptr<pipe_process>, std::string> spawn(script& maker,
                                                                        const options& how);
  ~pipe_process() override;

  // Each to be used as `return it.read(L, …)`: pushes the results, now or after a wait.
  int read(lua_State* state, part which, goal what, std::size_t size);
  int write(lua_State* state, std::string bytes);
  int wait(lua_State* state);
  /// Null, or why not.
  const char* shutdown(part which) noexcept;
  /// Empty, or why not.
  std::string kill(int number) noexcept;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  void timeout(part which, std::int64_t ms) noexcept { at(which).timeout_ms = ms; }

private:
  struct waiting final : net::timer {
    pipe_process* self = nullptr;
    part which = part::in;
    std::int64_t timeout_ms = 0;
    script_host* host = nullptr;  ///< Of who waits.
    wait_token token = wait_token::none;
    bool is_undelivered = false;  ///< It has ended; its coroutine does not know yet.
    std::string error;            ///< Of the operation; empty: none.
    void on_timer() noexcept override { self->on_timeout(*this); }
    [[nodiscard]] bool is_busy() const noexcept {
      return token != wait_token::none || is_undelivered;
    }
  };
  struct reader {
    std::string input;
    std::size_t searched = 0;  ///< So much of it holds no end of the line.
    goal what = goal::all;
    std::size_t size = 0;
    bool at_end = false;
  };
  /// A child that writes as fast as it is read from gets its turn, as all others do.
  struct next_turn final : net::timer {
    pipe_process* self = nullptr;
    part which = part::out;
    void on_timer() noexcept override {
      self->on_stream_ready(static_cast<net::child_stream>(which));
    }
  };

  pipe_process(script& maker, const options& how);
  void on_stream_ready(net::child_stream which) noexcept override;
  void on_child_ended() noexcept override;
  void on_owner_ended() noexcept override;
  void on_timeout(waiting& one) noexcept;

  [[nodiscard]] waiting& at(part which) noexcept { return waits_[static_cast<std::size_t>(which)]; }
  [[nodiscard]] reader& input_of(part which) noexcept {
    return readers_[static_cast<std::size_t>(which) - 1];
  }
  [[nodiscard]] bool is_over() const noexcept { return child_ == nullptr; }
  /// True: the operation has ended, `error` says how.
  bool go_on_reading(part which);
  bool go_on_writing();
  static bool is_satisfied(reader& it) noexcept;
  static std::string take(reader& it);
  static std::string take_rest(reader& it);

  int begin_wait(lua_State* state, part which, int (*finish)(lua_State*, void*));
  void wake(waiting& one) noexcept;
  void fail(part which, const char* error) noexcept;
  void end(const char* why_of_wait) noexcept;
  static int finish_read(lua_State* state, void* operation);
  static int finish_write(lua_State* state, void* operation);
  static int finish_wait(lua_State* state, void* operation);
  static void cancel(void* operation) noexcept;

  [[nodiscard]] bool logs_debug() const noexcept;
  void log_debug(const std::string& text) const;
  /// "process:7F… pid:12"
  [[nodiscard]] std::string name() const;

  net::event_loop& loop_;
  const net::log_context* log_;  ///< Null once its owner has ended.
  std::unique_ptr<net::child_process> child_;
  std::optional<net::child_end> how_it_ended_;
  pid_t pid_ = -1;
  bool merges_stderr_;
  std::size_t buffer_size_;
  std::array<waiting, 4> waits_;
  std::array<reader, 2> readers_;
  std::array<next_turn, 2> next_turns_;
  std::string output_;
  std::size_t output_at_ = 0;
};

}  // namespace troupe::lua
