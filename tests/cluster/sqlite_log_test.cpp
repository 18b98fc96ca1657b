// SPDX-License-Identifier: Apache-2.0
#include "cluster/sqlite_log.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <csignal>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

using tests::temp_dir;

change next_of(const position& at, const std::string& value) {
  order what;
  what.id = new_order_id();
  what.body = config_order{"key", value, {}, {}};
  change made;
  made.epoch = 1;
  made.seq = at.seq + 1;
  made.parent = at.state;
  made.ordered = signed_order::make_unsigned(what);
  return made;
}

std::unique_ptr<sqlite_log> open(const temp_dir& data) {
  auto log = sqlite_log::open(data.path() / "cluster.db");
  EXPECT_TRUE(log) << (log ? "" : log.error().reason);
  return *std::move(log);
}

void add(sqlite_log& log, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    ASSERT_TRUE(log.append_all({next_of(log.head(), std::to_string(i))}));
  }
}

TEST(sqlite_log, is_found_again_as_it_was) {
  temp_dir data;
  position head;
  {
    auto log = open(data);
    EXPECT_EQ(log->head(), position());
    add(*log, 5);
    head = log->head();
  }
  auto log = open(data);
  EXPECT_EQ(log->head(), head);
  EXPECT_EQ(log->read(2, 1 << 20)->size(), 3u);
  EXPECT_EQ(log->read(2, 1)->size(), 1u);
  EXPECT_TRUE(log->read(5, 1 << 20)->empty());
}

TEST(sqlite_log, takes_only_what_follows) {
  temp_dir data;
  auto log = open(data);
  add(*log, 2);
  const position head = log->head();
  change other = next_of(head, "x");
  other.parent = digest::of("another history");
  EXPECT_EQ(log->append_all({other}).error().errc, refusal_errc::conflict);
  // All or none.
  const change good = next_of(head, "y");
  EXPECT_FALSE(log->append_all({good, good}));
  EXPECT_EQ(log->head(), head);
  EXPECT_EQ(log->read(0, 1 << 20)->size(), 2u);
}

TEST(sqlite_log, is_cut_at_the_snapshot_before_the_last) {
  temp_dir data;
  auto log = open(data);
  add(*log, 3);
  ASSERT_TRUE(log->keep_snapshot(log->head(), "first"));
  add(*log, 3);
  const position second = log->head();
  ASSERT_TRUE(log->keep_snapshot(second, "second"));
  add(*log, 1);
  const position head = log->head();
  EXPECT_EQ(log->begins_after(), 3u);
  log = open(data);
  EXPECT_EQ(log->head(), head);
  EXPECT_EQ(log->begins_after(), 3u);
  EXPECT_EQ(**log->snapshot(), "second");
  EXPECT_EQ(log->read(2, 1 << 20).error().errc, refusal_errc::missing);
  EXPECT_EQ(log->read(3, 1 << 20)->size(), 4u);
}

TEST(sqlite_log, another_history_takes_its_place_at_once) {
  temp_dir data;
  auto log = open(data);
  add(*log, 4);
  const auto lost = log->read(3, 1 << 20);
  const position base{1, 2, digest::of("base")};
  const change since = next_of(base, "z");
  ASSERT_TRUE(log->replace(base, "snapshot", {since}, *lost));
  log = open(data);
  EXPECT_EQ(log->head(), since.after());
  EXPECT_EQ(log->begins_after(), 2u);
  ASSERT_EQ(log->aside()->size(), 1u);
  EXPECT_EQ(log->aside()->front().after(), lost->front().after());
}

TEST(sqlite_log, a_damaged_database_is_refused_with_what_to_do) {
  temp_dir data;
  {
    auto log = open(data);
    add(*log, 200);
  }
  std::string bytes = data.read("cluster.db");
  ASSERT_GT(bytes.size(), 20'000u);
  for (std::size_t i = 5'000; i < 20'000; ++i) bytes[i] = 'x';
  tests::write_file(data.path() / "cluster.db", bytes);
  const auto log = sqlite_log::open(data.path() / "cluster.db");
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().errc, refusal_errc::damaged);
  EXPECT_NE(log.error().reason.find("move it away"), std::string::npos) << log.error().reason;
}

TEST(sqlite_log, a_newer_database_or_anothers_is_refused_with_what_to_do) {
  temp_dir data;
  { open(data); }
  const std::string path = data.path() / "cluster.db";
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "PRAGMA user_version=2", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  const auto newer = sqlite_log::open(path);
  ASSERT_FALSE(newer);
  EXPECT_NE(newer.error().reason.find("newer troupe"), std::string::npos) << newer.error().reason;
  ASSERT_EQ(sqlite3_open(path.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "PRAGMA application_id=7", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  const auto foreign = sqlite_log::open(path);
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().reason.find("another program"), std::string::npos);
}

// A disk without room: no file of the process may grow any more.
TEST(sqlite_log, a_full_disk_leaves_it_as_it_was) {
  temp_dir data;
  auto log = open(data);
  add(*log, 20);
  const position head = log->head();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{8192, 8192};
    setrlimit(RLIMIT_FSIZE, &limit);
    auto full = sqlite_log::open(data.path() / "cluster.db");
    if (!full) _exit(3);
    const position before = (*full)->head();
    const auto done = (*full)->append_all({next_of(before, std::string(30'000, 'x'))});
    _exit(!done && (*full)->head() == before ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  log = open(data);
  EXPECT_EQ(log->head(), head);
  add(*log, 1);
}

}  // namespace
}  // namespace troupe::cluster
