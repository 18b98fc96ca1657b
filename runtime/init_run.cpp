// SPDX-License-Identifier: Apache-2.0
#include "runtime/init_run.hpp"

#include <csignal>
#include <utility>
#include <vector>

#include "net/client_services.hpp"
#include "net/event_loop.hpp"
#include "runtime/descriptors.hpp"

namespace troupe {

/// An event loop of its own, so that init may wait.
class init_run::host final : public lua::script_host {
 public:
  void wake(lua::wait_token token) noexcept override { woken_.push_back(token); }
  [[nodiscard]] net::event_loop& loop() noexcept override { return loop_; }
  [[nodiscard]] net::client_services& services() noexcept override { return services_; }

  /// @return false: it was given up.
  bool run(lua::script& script, std::int64_t most_ms) {
    loop_.set_idle_hook([this] {
      std::vector<lua::wait_token> now;
      now.swap(woken_);
      for (const lua::wait_token token : now) deliver(token);
      return !now.empty();  // The script may have ended: do not sleep before that is seen.
    });
    limit_.self = this;
    if (most_ms > 0) loop_.timers().arm(limit_, most_ms);
    while (script.state() == lua::script::progress::waiting && !is_over_) loop_.turn_once();
    return !is_over_;
  }

  void give_up() {
    loop_.post([this] { is_over_ = true; });
  }

 private:
  struct limit final : net::timer {
    host* self = nullptr;
    void on_timer() noexcept override { self->is_over_ = true; }
  };

  net::event_loop loop_;
  net::client_services services_{loop_};
  std::vector<lua::wait_token> woken_;
  bool is_over_ = false;
  limit limit_;
};

init_run::init_run(lua::vm& machine, std::int64_t most_ms)
    : machine_(machine),
      most_ms_(most_ms),
      started_(clock::now()),
      thread_(::pthread_self()),
      host_(std::make_unique<host>()) {
  counter_.init_ms = most_ms;
}

init_run::~init_run() = default;

std::string init_run::run(int chunk, const net::log_context& log) {
  if (std::string lack = lack_of_descriptors(); !lack.empty()) return lack;
  lua::interrupt& interrupts = machine_.interrupts();
  const bool opens = most_ms_ > 0 && !interrupts.is_open();
  if (opens) interrupts.open(machine_.state());
  // Without them compiled loops would run for ever.
  const bool interprets = opens && !interrupts.reaches_compiled_code();
  if (interprets) luaJIT_setmode(machine_.state(), 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  machine_.watch(counter_);
  std::string error;
  {
    lua::script script(machine_, *host_);
    script.start(chunk, lua::phase::init, nullptr, log);
    const bool in_time = host_->run(script, most_ms_);
    if (!in_time) {
      error = cancelled_ ? "given up"
                         : "it has not ended within " + std::to_string(most_ms_) +
                               " ms (lua_init_timeout)";
    } else if (script.state() == lua::script::progress::failed) {
      error = script.error_message();
    }
  }
  machine_.unwatch();
  interrupts.withdraw(lua::interrupt::init);
  if (opens) interrupts.close();
  if (interprets) luaJIT_setmode(machine_.state(), 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
  return error;
}

void init_run::cancel() {
  if (!cancelled_.exchange(true)) host_->give_up();
}

void init_run::look(clock::time_point now) noexcept {
  const bool is_late = most_ms_ > 0 && now - started_ >= std::chrono::milliseconds(most_ms_);
  if (!cancelled_ && !is_late) return;
  const std::uint64_t serial = counter_.serial.load(std::memory_order_acquire);
  if (serial % 2 == 0) return;  // It waits: its own loop sees to that.
  counter_.overdue.store(serial, std::memory_order_release);
  struct sigaction action {};
  action.sa_handler = [](int) { lua::interrupt_slice(); };
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGURG, &action, nullptr);
  ::pthread_kill(thread_, SIGURG);
}

}  // namespace troupe
