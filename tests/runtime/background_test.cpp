// SPDX-License-Identifier: Apache-2.0
#include "runtime/background.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <utility>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe {
namespace {

using tests::temp_dir;

// What the program would be: forks, so that the parent that enter() ends is not the test.
template <typename Child>
int status_of_start(Child child) {
  const pid_t starter = fork();
  if (starter == 0) {
    auto entered = background::enter();
    child(std::move(*entered));
    _exit(0);
  }
  int status = 0;
  waitpid(starter, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(background, the_parent_leaves_with_0_when_the_child_listens) {
  temp_dir folder;
  const std::string log = folder.path() / "error.log";
  int ended[2];
  ASSERT_EQ(pipe(ended), 0);
  EXPECT_EQ(status_of_start([&](background child) {
              const bool own_session = getsid(0) == getpid();
              child.ready(log);
              dprintf(STDOUT_FILENO, "leads nowhere\n");
              dprintf(STDERR_FILENO, own_session ? "own session\n" : "not its own session\n");
            }),
            0);
  close(ended[1]);
  char byte;
  EXPECT_EQ(read(ended[0], &byte, 1), 0);  // every copy of the other end is closed: it has ended
  close(ended[0]);
  EXPECT_EQ(folder.read("error.log"), "own session\n");
}

TEST(background, the_parent_leaves_with_the_status_of_a_child_that_cannot_listen) {
  EXPECT_EQ(status_of_start([](background) { _exit(3); }), 3);
  EXPECT_EQ(status_of_start([](background) { _exit(0); }), 1);  // no word is no success
  EXPECT_EQ(status_of_start([](background) { kill(getpid(), SIGKILL); }), 128 + SIGKILL);
}

}  // namespace
}  // namespace troupe
