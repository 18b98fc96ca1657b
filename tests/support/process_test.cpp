// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <signal.h>

namespace troupe::tests {
TEST(process, tells_output_and_status_apart) {
  const auto done = run({"sh", "-c", "echo heard; echo whispered >&2; exit 3"});
  EXPECT_EQ(done.status, 3);
  EXPECT_EQ(done.out, "heard\n");
  EXPECT_EQ(done.err, "whispered\n");
}

TEST(process, runs_where_and_with_what_it_is_told) {
  temp_dir folder;
  const auto done = run({"sh", "-c", "pwd; echo $ROLE"}, {folder.path(), {{"ROLE", "prompter"}}});
  EXPECT_EQ(done.out, folder.path().string() + "\nprompter\n");
}

TEST(process, that_cannot_start_exits_with_127) {
  EXPECT_EQ(run({"/nowhere/nothing"}).status, 127);
}

TEST(process, ended_by_a_signal_says_which) {
  process program({"sh", "-c", "echo ready; exec cat /dev/zero >/dev/null"});
  EXPECT_TRUE(program.wait_for([](const auto& out, const auto&) { return out == "ready\n"; }));
  EXPECT_TRUE(program.is_running());
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 128 + SIGTERM);
  EXPECT_FALSE(program.is_running());
}

TEST(process, that_ends_early_does_not_keep_its_watcher_waiting) {
  process program({"true"});
  EXPECT_FALSE(program.wait_for([](const auto& out, const auto&) { return !out.empty(); }));
}
}  // namespace troupe::tests
