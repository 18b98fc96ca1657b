// SPDX-License-Identifier: Apache-2.0
#include "runtime/serve.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace troupe {
namespace {

// A node that only writes down what it is asked; stops when it is told to, as a real one.
class pretended_node final : public net::log_context {
 public:
  [[nodiscard]] bool enabled(net::log_level) const noexcept override { return true; }
  void write(net::log_level level, std::string_view text) const noexcept override {
    note("[" + std::string(net::name(level)) + "] " + std::string(text));
  }

  served actions() {
    return {.stop =
                [this](stop_mode mode) {
                  note(mode == stop_mode::fast ? "stop fast" : "stop gracefully");
                  std::lock_guard lock(mutex_);
                  stopped_ = true;
                  changed_.notify_all();
                },
            .wait =
                [this] {
                  wait_for([this] { return stopped_; });
                  return 5;
                },
            .reload = [this]() -> tl::expected<void, diagnostics> {
              note("reload");
              if (during_reload) during_reload();
              return reload_result;
            },
            .reopen_logs = [this] { note("reopen"); },
            .upgrade = upgrades ? std::function<void()>([this] { note("upgrade"); }) : nullptr,
            .log = [this]() -> const net::log_context& { return *this; }};
  }

  void wait_for_note(const std::string& text) {
    wait_for([&] { return std::ranges::find(notes_, text) != notes_.end(); });
  }
  [[nodiscard]] std::vector<std::string> notes() const {
    std::lock_guard lock(mutex_);
    return notes_;
  }

  bool upgrades = false;
  tl::expected<void, diagnostics> reload_result;
  std::function<void()> during_reload;

 private:
  void note(std::string text) const {
    std::lock_guard lock(mutex_);
    notes_.push_back(std::move(text));
    changed_.notify_all();
  }
  void wait_for(const std::function<bool()>& holds) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, holds);
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::vector<std::string> notes_;
  bool stopped_ = false;
};

class serve_test : public testing::Test {
 protected:
  void start() {
    auto installed = signals::install();
    ASSERT_TRUE(installed);
    queue_.emplace(std::move(*installed));
    thread_ = std::thread([this] { status_ = serve(*queue_, node_.actions()); });
  }
  int status() {
    thread_.join();
    return status_;
  }
  static void send(int number) { kill(getpid(), number); }
  static std::string from_here() { return " received from " + std::to_string(getpid()) + ", "; }

  pretended_node node_;
  std::optional<signals> queue_;
  std::thread thread_;
  int status_ = -1;
};

TEST_F(serve_test, term_stops_fast) {
  start();
  send(SIGTERM);
  EXPECT_EQ(status(), 5);
  EXPECT_EQ(node_.notes(),
            (std::vector<std::string>{"[notice] signal 15 (SIGTERM)" + from_here() + "exiting",
                                      "stop fast"}));
}

TEST_F(serve_test, int_stops_fast) {
  start();
  send(SIGINT);
  EXPECT_EQ(status(), 5);
  EXPECT_EQ(node_.notes(),
            (std::vector<std::string>{"[notice] signal 2 (SIGINT)" + from_here() + "exiting",
                                      "stop fast"}));
}

TEST_F(serve_test, quit_stops_gracefully) {
  start();
  send(SIGQUIT);
  EXPECT_EQ(status(), 5);
  EXPECT_EQ(node_.notes(),
            (std::vector<std::string>{"[notice] signal 3 (SIGQUIT)" + from_here() + "shutting down",
                                      "stop gracefully"}));
}

TEST_F(serve_test, usr1_opens_the_logs_again_and_unknown_signals_only_leave_a_line) {
  start();
  send(SIGUSR1);
  node_.wait_for_note("reopen");
  send(SIGUSR2);
  node_.wait_for_note("[notice] signal 12 (SIGUSR2)" + from_here() + "ignoring");
  send(SIGWINCH);
  node_.wait_for_note("[notice] signal 28 (SIGWINCH)" + from_here() + "ignoring");
  send(SIGTERM);
  EXPECT_EQ(status(), 5);
}

TEST_F(serve_test, usr2_upgrades_where_that_is_possible) {
  node_.upgrades = true;
  start();
  send(SIGUSR2);
  node_.wait_for_note("[notice] signal 12 (SIGUSR2)" + from_here() + "changing binary");
  node_.wait_for_note("upgrade");
  send(SIGTERM);
  EXPECT_EQ(status(), 5);
}

TEST_F(serve_test, a_refused_reload_is_logged_and_the_node_goes_on) {
  node_.reload_result = tl::unexpected(
      diagnostics{{.file = "/a/nginx.conf", .line = 3, .reason = "unknown directive \"sever\""}});
  start();
  send(SIGHUP);
  node_.wait_for_note("[emerg] unknown directive \"sever\" in /a/nginx.conf:3");
  send(SIGUSR1);
  node_.wait_for_note("reopen");
  send(SIGTERM);
  EXPECT_EQ(status(), 5);
}

TEST_F(serve_test, a_stop_is_heard_while_a_release_loads) {
  node_.during_reload = [this] { node_.wait_for_note("stop fast"); };
  start();
  send(SIGHUP);
  node_.wait_for_note("reload");
  send(SIGTERM);
  EXPECT_EQ(status(), 5);
}

TEST_F(serve_test, a_node_that_ends_by_itself_ends_the_program) {
  start();
  node_.actions().stop(stop_mode::fast);
  EXPECT_EQ(status(), 5);
}

}  // namespace
}  // namespace troupe
