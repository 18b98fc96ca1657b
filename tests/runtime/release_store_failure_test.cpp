// SPDX-License-Identifier: Apache-2.0
//
// What is left of the store when something breaks in the middle: each step fails, the process dies
// at each step, the power goes at each step, the disk is full at each block.
#include "runtime/release_store.hpp"

#include "tests/runtime/sqlite_steps.hpp"
#include "tests/runtime/store_scenario.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <optional>
#include <set>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe {
namespace {

using tests::apply;
using tests::expect_whole;
using tests::first_app;
using tests::prune;
using tests::second_app;
using tests::sqlite_steps;
using tests::temp_dir;
namespace fs = std::filesystem;

void make_first_release(const fs::path& data) {
  auto store = release_store::open(data);
  ASSERT_TRUE(store) << text(store.error());
  ASSERT_EQ(*apply(*store, first_app, 0), 1);
  ASSERT_TRUE(store->config().set("k", {config_type::string, "old"}, "test", {}));
}

/// Opens what is left and goes on with it.
void expect_sound(const fs::path& data, const std::set<int>& may_be_active,
                  const std::set<std::string>& may_be_value) {
  auto store = release_store::open(data);
  ASSERT_TRUE(store) << text(store.error());
  const auto active = store->active();
  ASSERT_TRUE(active && *active);
  const int number = (*active)->number;
  EXPECT_TRUE(may_be_active.contains(number)) << number;
  expect_whole(*store, number, number == 1 ? first_app : second_app);
  const auto value = store->config().get("k");
  ASSERT_TRUE(value && *value);
  EXPECT_TRUE(may_be_value.contains((*value)->value.text)) << (*value)->value.text;
  EXPECT_TRUE(fs::is_empty(data / "store/tmp"));
  for (const auto& tree : fs::directory_iterator(data / "trees")) {
    EXPECT_EQ(tree.path().filename().string().size(), 16u) << tree.path();
  }
  const auto next = apply(*store, second_app, number);
  ASSERT_TRUE(next) << next.error();
  EXPECT_GT(*next, number);
  expect_whole(*store, *next, second_app);
  EXPECT_TRUE(prune(*store, 1, {}));
  expect_whole(*store, *next, second_app);
}

TEST(release_store_failure, each_write_that_fails_is_a_refusal_that_names_the_file) {
  int refused = 0;
  for (const int error : {ENOSPC, EIO}) {
    for (int failing = 1;; ++failing) {
      temp_dir data;
      make_first_release(data.path());
      int step = 0;
      std::string failed_path;
      bool armed = false;
      const auto hook = [&](std::string_view, const std::string& path) {
        if (!armed || ++step != failing) return 0;
        failed_path = path;
        return error;
      };
      std::set<int> active{1};
      {
        const sqlite_steps steps([&](std::string_view call, const std::string& path, long long) {
          return hook(call, path);
        });
        auto store = release_store::open(data.path(), hook);
        ASSERT_TRUE(store);
        armed = true;
        const auto number = apply(*store, second_app, 1);
        armed = false;
        if (number) {
          active = {2};  // a hard link that failed was a copy
          expect_whole(*store, 2, second_app);
        } else {
          ++refused;
          // The log of the database is the database's.
          std::string name = failed_path.substr(0, failed_path.find("-wal"));
          EXPECT_NE(number.error().find(name), std::string::npos) << failing << number.error();
          EXPECT_EQ((*store->active())->number, 1);
          expect_whole(*store, 1, first_app);
          // With the fault gone the same store goes on.
          if (failing % 2 == 0) {
            const auto again = apply(*store, second_app, 1);
            EXPECT_TRUE(again) << failing << again.error();
            active = {2};
          }
        }
      }
      expect_sound(data.path(), active, {"old"});
      if (HasFailure()) FAIL() << "at step " << failing << ", " << failed_path;
      if (failed_path.empty()) break;
    }
  }
  EXPECT_GT(refused, 40);
}

/// Dies at a step; with a power cut, what was not synced by then is lost.
struct death {
  int at = 0;
  bool power_cut = false;
  int step = 0;
  std::set<std::string> unsynced{};
  std::map<std::string, long long> log_ends{};  // as synced; and as written below
  std::map<std::string, long long> log_written{};
  std::optional<std::string> syncing{};

  int operator()(std::string_view call, const std::string& path, long long end) {
    if (syncing) {  // the one before has been done
      if (*syncing == "*") unsynced.clear();
      unsynced.erase(*syncing);
      if (log_written.contains(*syncing)) log_ends[*syncing] = log_written[*syncing];
      syncing.reset();
    }
    if (++step == at) die();
    if (call == "rename" && path.find("/store/") != std::string::npos) unsynced.insert(path);
    if (call == "fsync") syncing = path;
    if (call == "syncfs") syncing = "*";
    if (call == "write" && path.ends_with("-wal")) {
      log_ends.try_emplace(path, 0);
      log_written[path] = std::max(log_written[path], end);
    }
    return 0;
  }

  void die() {
    if (power_cut) {
      for (const auto& file : unsynced) {
        chmod(file.c_str(), 0600);
        if (truncate(file.c_str(), 0) != 0) _exit(9);
      }
      for (const auto& [file, size] : log_ends) {
        if (truncate(file.c_str(), size) != 0) _exit(9);
      }
    }
    kill(getpid(), SIGKILL);
  }
};

/// In the child: all that a node does to its store. A byte on the pipe for each thing that is done.
void live(const fs::path& data, death how, int done) {
  const auto say = [&](char what) {
    if (write(done, &what, 1) != 1) _exit(8);
  };
  const sqlite_steps steps([&](std::string_view call, const std::string& path, long long end) {
    return how(call, path, end);
  });
  auto store = release_store::open(
      data, [&](std::string_view call, const std::string& path) { return how(call, path, 0); });
  if (!store) _exit(7);
  if (!apply(*store, second_app, 1)) _exit(6);
  say('c');
  if (!store->config().set("k", {config_type::string, "new"}, "test", {})) _exit(5);
  say('s');
  if (!store->activate(1, 2)) _exit(4);
  say('a');
  if (!prune(*store, 0, {})) _exit(3);
  say('p');
  store = release_store::open(data);  // closes the first
  _exit(0);
}

void die_at_each_step(bool power_cut) {
  int step = 1;
  for (;; ++step) {
    temp_dir data;
    make_first_release(data.path());
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) live(data.path(), {.at = step, .power_cut = power_cut}, ends[1]);
    close(ends[1]);
    std::string done;
    char byte;
    while (read(ends[0], &byte, 1) == 1) done += byte;
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    const bool ended = WIFEXITED(status);
    if (ended) {
      ASSERT_EQ(WEXITSTATUS(status), 0) << "at step " << step;
    }
    // What was reported holds; what was under way may have happened or not.
    std::set<int> active;
    std::set<std::string> value;
    if (done.empty()) active = {1, 2};
    if (done == "c") active = {2};
    if (done == "cs") active = {1, 2};
    if (done.starts_with("csa")) active = {1};
    if (done.empty()) value = {"old"};
    if (done == "c") value = {"old", "new"};
    if (done.starts_with("cs")) value = {"new"};
    expect_sound(data.path(), active, value);
    if (testing::Test::HasFailure()) FAIL() << "at step " << step << " after \"" << done << '"';
    if (ended) break;
  }
  EXPECT_GT(step, 40);
}

TEST(release_store_failure, kill_9_at_each_step_leaves_the_old_or_the_new) {
  die_at_each_step(false);
}

TEST(release_store_failure, a_power_cut_at_each_step_leaves_the_old_or_the_new) {
  die_at_each_step(true);
}

/// In the child, in a mount namespace of its own.
void fill_the_disk(const fs::path& mount_point) {
  int refused = 0;
  for (int room = 0;; ++room) {
    ASSERT_EQ(mount("troupe-test", mount_point.c_str(), "tmpfs", 0, "size=4m"), 0);
    const fs::path data = mount_point / "data";
    make_first_release(data);
    // All but so many blocks are taken.
    struct statvfs disk;
    ASSERT_EQ(statvfs(mount_point.c_str(), &disk), 0);
    const fs::path filler = mount_point / "filler";
    const auto taken = static_cast<long long>(disk.f_bavail) - room;
    const int file = open(filler.c_str(), O_WRONLY | O_CREAT, 0600);
    ASSERT_EQ(posix_fallocate(file, 0, taken * static_cast<long long>(disk.f_bsize)), 0);
    close(file);
    bool done = false;
    std::string why;
    {
      auto store = release_store::open(data);
      if (!store) {
        why = text(store.error());
      } else {
        const auto number = apply(*store, second_app, 1);
        done = number.has_value();
        if (!done) {
          why = number.error();
          EXPECT_EQ((*store->active())->number, 1);
        }
      }
    }
    if (!done) {
      ++refused;
      EXPECT_NE(why.find(data.string()), std::string::npos) << why;
      EXPECT_TRUE(why.find("No space left on device") != std::string::npos ||
                  why.find("database or disk is full") != std::string::npos)
          << why;
    }
    fs::remove(filler);
    expect_sound(data, {done ? 2 : 1}, {"old"});
    if (testing::Test::HasFailure()) FAIL() << "with " << room << " blocks left: " << why;
    ASSERT_EQ(umount2(mount_point.c_str(), MNT_DETACH), 0);
    if (done) break;
  }
  EXPECT_GT(refused, 5);
}

TEST(release_store_failure, a_disk_full_at_each_block_is_a_refusal) {
  temp_dir folder;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      _exit(77);
    }
    fill_the_disk(folder.path());
    fflush(nullptr);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no mount namespace without root";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace troupe
