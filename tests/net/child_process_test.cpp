// SPDX-License-Identifier: Apache-2.0
#include "net/child_process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <string>

#include "net/child_reaper.hpp"

namespace troupe::net {
namespace {

struct child_fixture : testing::Test, child_process::observer {
  event_loop loop;
  child_reaper reaper{loop};
  std::unique_ptr<child_process> child;

  void on_stream_ready(child_stream) noexcept override {}
  void on_child_ended() noexcept override {}

  void spawn(child_command command) {
    auto made = child_process::spawn(loop, reaper, command, *this);
    ASSERT_TRUE(made.has_value()) << made.error().call << made.error().error.message();
    child = std::move(*made);
  }
  void shell(const std::string& text) { spawn({.words = {"/bin/sh", "-c", text}}); }

  void until(const std::function<bool()>& enough) {
    bool done = enough();
    for (int turns = 0; !done && turns < 1000; ++turns) {
      loop.turn(1000);
      done = enough();
    }
    EXPECT_TRUE(done);
  }
  child_end end() {
    until([&] { return child->end().has_value(); });
    return child->end().value_or(child_end{});
  }
  std::string all_of(child_stream which) {
    std::string text;
    until([&] {
      for (;;) {
        const io_result got = child->read(which, loop.scratch());
        if (got.would_block()) return false;
        EXPECT_FALSE(got.error) << got.error.message();
        if (got.bytes == 0) return true;
        text.append(loop.scratch().data(), got.bytes);
      }
    });
    return text;
  }
};

using how = child_end::how;
using child_process_test = child_fixture;

bool is_zombie_or_runs(pid_t pid) { return ::kill(pid, 0) == 0; }

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

}  // namespace

TEST_F(child_process_test, its_output_and_its_status_are_seen) {
  shell("echo out; echo err >&2; exit 7");
  EXPECT_EQ(all_of(child_stream::out), "out\n");
  EXPECT_EQ(all_of(child_stream::err), "err\n");
  const child_end ended = end();
  EXPECT_EQ(ended.what, how::exited);
  EXPECT_EQ(ended.code, 7);
  EXPECT_EQ(child->send_signal(SIGTERM), std::errc::no_such_process);
}

TEST_F(child_process_test, stderr_may_go_to_stdout) {
  spawn({.words = {"sh", "-c", "echo out; echo err >&2"}, .merges_stderr = true});
  EXPECT_FALSE(child->is_open(child_stream::err));
  EXPECT_EQ(all_of(child_stream::out), "out\nerr\n");
}

TEST_F(child_process_test, what_is_written_arrives_until_stdin_is_closed) {
  spawn({.words = {"cat"}});
  EXPECT_EQ(child->write(std::string_view("hello")).bytes, 5U);
  child->close(child_stream::in);
  EXPECT_FALSE(child->is_open(child_stream::in));
  EXPECT_EQ(all_of(child_stream::out), "hello");
}

TEST_F(child_process_test, a_full_pipe_would_block_and_a_broken_one_raises_no_signal) {
  spawn({.words = {"sleep", "100"}});
  const std::string much(1 << 20, 'x');
  EXPECT_LT(child->write(much).bytes, much.size());
  EXPECT_TRUE(child->write(much).would_block());
  shell("exec <&-; echo closed; exec sleep 100");
  until([&] { return child->read(child_stream::out, loop.scratch()).bytes == 7; });
  EXPECT_EQ(child->write(std::string_view("x")).error, std::errc::broken_pipe);
}

TEST_F(child_process_test, its_environment_is_the_given_one_or_ours) {
  spawn({.words = {"/usr/bin/env"}, .environment = {"A=1", "B=two words"}});
  EXPECT_EQ(all_of(child_stream::out), "A=1\nB=two words\n");
  ::setenv("TROUPE_CHILD_TEST", "inherited", 1);
  shell("echo $TROUPE_CHILD_TEST");
  EXPECT_EQ(all_of(child_stream::out), "inherited\n");
}

TEST_F(child_process_test, a_program_that_is_not_there_is_a_child_that_exits_with_1) {
  spawn({.words = {"/no/such/program"}});
  EXPECT_EQ(child->exec_error(), std::errc::no_such_file_or_directory);
  const child_end ended = end();
  EXPECT_EQ(ended.what, how::exited);
  EXPECT_EQ(ended.code, 1);
}

TEST_F(child_process_test, signals_end_it_and_a_wrong_one_is_refused) {
  shell("exec sleep 100");
  EXPECT_EQ(child->send_signal(10000), std::errc::invalid_argument);
  EXPECT_FALSE(child->send_signal(SIGTERM));
  const child_end ended = end();
  EXPECT_EQ(ended.what, how::signalled);
  EXPECT_EQ(ended.code, SIGTERM);
}

// In a program that ignores or blocks signals the child must not: a `yes | head` would never end.
TEST_F(child_process_test, its_signals_are_as_by_default) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  sigset_t usr1, mask;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &usr1, &mask);
  shell("grep -E '^Sig(Blk|Ign)' /proc/self/status");
  EXPECT_EQ(all_of(child_stream::out),
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, &mask, &after);
  EXPECT_EQ(sigismember(&after, SIGUSR1), 1) << "ours stay as they were";
  std::signal(SIGPIPE, before);
}

TEST_F(child_process_test, it_has_no_descriptor_of_ours_but_its_three) {
  const unique_fd inheritable(::open("/dev/null", O_RDONLY));
  shell("ls /proc/$$/fd");
  EXPECT_EQ(all_of(child_stream::out), "0\n1\n2\n");
}

TEST_F(child_process_test, whoever_still_runs_is_killed_and_reaped_with_the_object) {
  shell("trap '' TERM; exec sleep 100");
  const pid_t pid = child->pid();
  child.reset();
  EXPECT_EQ(reaper.count(), 1U);
  until([&] { return reaper.count() == 0; });
  EXPECT_FALSE(is_zombie_or_runs(pid));
}

TEST_F(child_process_test, the_reaper_leaves_no_zombie_when_it_ends) {
  pid_t pid = 0;
  {
    child_reaper own(loop);
    auto made = child_process::spawn(loop, own, {.words = {"sleep", "100"}}, *this);
    ASSERT_TRUE(made.has_value());
    pid = (*made)->pid();
    made->reset();
  }
  EXPECT_FALSE(is_zombie_or_runs(pid));
}

TEST_F(child_process_test, many_leave_no_descriptor_behind) {
  const auto before = open_descriptors();
  for (int i = 0; i < 100; ++i) {
    shell(i % 2 == 0 ? "true" : "exec sleep 100");
    if (i % 2 == 0) {
      EXPECT_EQ(end().code, 0);
    }
  }
  child.reset();
  until([&] { return reaper.count() == 0; });
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(child_process_test, an_end_that_somebody_else_has_reaped_is_unknown) {
  shell("exit 3");
  ::waitpid(child->pid(), nullptr, 0);
  EXPECT_EQ(end().what, how::unknown);
}

TEST_F(child_process_test, says_what_failed_when_there_are_no_descriptors) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit low{static_cast<rlim_t>(open_descriptors() + 2), limit.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &low);
  auto made = child_process::spawn(loop, reaper, {.words = {"true"}}, *this);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ASSERT_FALSE(made.has_value());
  EXPECT_STREQ(made.error().call, "pipe");
  EXPECT_EQ(made.error().error, std::errc::too_many_files_open);
}

}  // namespace troupe::net
