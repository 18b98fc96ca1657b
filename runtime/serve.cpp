// SPDX-License-Identifier: Apache-2.0
#include "runtime/serve.hpp"

#include "runtime/process.hpp"

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace troupe {

using net::log_level;

namespace {

class reloader {
 public:
  explicit reloader(const served& actions) : actions_(actions), thread_([this] { run(); }) {}
  ~reloader() {
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void request(bool reload) {
    {
      std::lock_guard lock(mutex_);
      (reload ? requested_ : upgrade_requested_) = true;
    }
    changed_.notify_one();
  }

 private:
  void run() {
    name_thread("reload");
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ended_ || requested_ || upgrade_requested_; });
      if (ended_) return;
      const bool upgrades = std::exchange(upgrade_requested_, false);
      const bool reloads = std::exchange(requested_, false);
      lock.unlock();
      if (upgrades) actions_.upgrade();
      if (!reloads) {
        lock.lock();
        continue;
      }
      if (auto reloaded = actions_.reload(); !reloaded) log_all(actions_.log(), reloaded.error());
      lock.lock();
    }
  }

  const served& actions_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool requested_ = false;
  bool upgrade_requested_ = false;
  bool ended_ = false;
  std::thread thread_;
};

void log_signal(const net::log_context& log, const signals::event& event, std::string_view what) {
  std::string text = "signal " + std::to_string(event.number) + " (" +
                     std::string(signal_name(event.number)) + ") received";
  if (event.sender != 0) text += " from " + std::to_string(event.sender);
  text += ", ";
  log.write(log_level::notice, text += what);
}

}  // namespace

void log_all(const net::log_context& log, const diagnostics& problems) {
  for (const diagnostic& problem : problems) log.write(problem.level, nginx_text(problem));
}

int serve(signals& queue, const served& actions) {
  int status = 0;
  std::thread waiter([&] {
    name_thread("wait");
    status = actions.wait();
    queue.wake();
  });
  {
    reloader reloads(actions);
    for (signals::event event = queue.next(); event.number != 0; event = queue.next()) {
      switch (event.number) {
        case SIGTERM:
        case SIGINT:
          log_signal(actions.log(), event, "exiting");
          actions.stop(stop_mode::fast);
          break;
        case SIGQUIT:
          log_signal(actions.log(), event, "shutting down");
          actions.stop(stop_mode::graceful);
          break;
        case SIGHUP:
          log_signal(actions.log(), event, "reconfiguring");
          reloads.request(true);
          break;
        case SIGUSR1:
          log_signal(actions.log(), event, "reopening logs");
          actions.reopen_logs();
          break;
        case SIGUSR2:
          log_signal(actions.log(), event, actions.upgrade ? "changing binary" : "ignoring");
          if (actions.upgrade) reloads.request(false);
          break;
        default:
          log_signal(actions.log(), event, "ignoring");
          break;
      }
    }
  }
  waiter.join();
  return status;
}

}  // namespace troupe
