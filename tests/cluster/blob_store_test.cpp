// SPDX-License-Identifier: Apache-2.0
#include "cluster/blob_store.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <tuple>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

using tests::temp_dir;
namespace fs = std::filesystem;

blob_store open_store(const temp_dir& data, disk::step_hook hook = nullptr) {
  auto store = blob_store::open(data.path() / "store", std::move(hook));
  EXPECT_TRUE(store) << (store ? "" : store.error().reason);
  return *std::move(store);
}

std::string file_of(const digest& name) {
  return "store/" + name.hex().substr(0, 2) + '/' + name.hex().substr(2);
}

// Another content behind the store's back.
void overwrite(const fs::path& file, std::string_view bytes) {
  fs::permissions(file, fs::perms::owner_all);
  tests::write_file(file, bytes);
}

std::size_t files_in(const fs::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) ++count;
  }
  return count;
}

TEST(blob_store, keeps_contents_by_their_digest) {
  temp_dir data;
  auto store = open_store(data);
  EXPECT_FALSE(store.has(digest::of("a")));
  const auto name = store.put("a");
  ASSERT_TRUE(name);
  EXPECT_EQ(*name, digest::of("a"));
  EXPECT_TRUE(store.has(*name));
  EXPECT_EQ(*store.get(*name), "a");
  EXPECT_EQ(data.read(file_of(*name)), "a");
  ASSERT_TRUE(store.flush());
  ASSERT_TRUE(store.put(""));
  EXPECT_EQ(*store.get(digest::of("")), "");
  // Another process finds it.
  auto again = open_store(data);
  EXPECT_TRUE(again.has(*name));
  EXPECT_EQ(*again.get(*name), "a");
}

TEST(blob_store, takes_files) {
  temp_dir data;
  auto store = open_store(data);
  const auto file = data.write("big", std::string(1 << 20, 'x'));
  ASSERT_TRUE(store.put_file(file, 1 << 20));
  EXPECT_EQ(store.get(digest::of(std::string(1 << 20, 'x')))->size(), 1u << 20);
  EXPECT_EQ(store.put_file(file, 1000).error().errc, refusal_errc::too_large);
  EXPECT_EQ(store.put_file(data.path() / "none", 1).error().errc, refusal_errc::missing);
  EXPECT_EQ(store.put_file(data.path(), 1).error().errc, refusal_errc::bad_kind);
}

TEST(blob_store, refuses_a_content_that_is_not_what_it_is_called) {
  temp_dir data;
  auto store = open_store(data);
  const auto put = store.put(digest::of("a"), "b");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().errc, refusal_errc::damaged);
  EXPECT_EQ(files_in(data.path()), 0u);
  EXPECT_TRUE(store.put(digest::of("a"), "a"));
  EXPECT_EQ(store.get(digest::of("none")).error().errc, refusal_errc::missing);
}

TEST(blob_store, a_damaged_content_is_moved_aside_and_healed_by_the_next_put) {
  temp_dir data;
  const digest name = digest::of("content");
  {
    auto store = open_store(data);
    ASSERT_TRUE(store.put("content"));
  }
  for (const char* damage : {"Content", "", "content and more"}) {
    auto store = open_store(data);
    overwrite(data.path() / file_of(name), damage);
    const auto got = store.get(name);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().errc, refusal_errc::damaged);
    EXPECT_NE(got.error().reason.find(file_of(name)), std::string::npos) << got.error().reason;
    EXPECT_EQ(data.read(file_of(name) + ".damaged"), damage);
    EXPECT_FALSE(store.has(name));
    ASSERT_TRUE(store.put("content"));
    EXPECT_EQ(*store.get(name), "content");
  }
}

TEST(blob_store, does_not_say_that_it_has_a_content_that_is_damaged) {
  temp_dir data;
  const digest name = digest::of("content");
  auto store = open_store(data);
  ASSERT_TRUE(store.put("content"));
  EXPECT_TRUE(store.has(name));
  // The same size, and known as whole before.
  overwrite(data.path() / file_of(name), "CONTENT");
  EXPECT_FALSE(store.has(name));
  EXPECT_FALSE(store.path_of(name));
  EXPECT_FALSE(open_store(data).has(name));
}

TEST(blob_store, executables_have_a_twin) {
  temp_dir data;
  auto store = open_store(data);
  const digest name = *store.put("#!/bin/sh");
  const auto plain = store.path_of(name);
  const auto executable = store.path_of(name, true);
  ASSERT_TRUE(plain && executable);
  struct stat found;
  ASSERT_EQ(stat(plain->c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0444u);
  ASSERT_EQ(stat(executable->c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0555u);
  EXPECT_EQ(tests::read_file(*executable), "#!/bin/sh");
  EXPECT_EQ(*store.path_of(name, true), *executable);
}

TEST(blob_store, sweeps_what_nobody_refers_to) {
  temp_dir data;
  auto store = open_store(data);
  const digest kept = *store.put("kept");
  const digest dropped = *store.put("dropped");
  ASSERT_TRUE(store.path_of(kept, true));
  ASSERT_TRUE(store.path_of(dropped, true));
  data.write("store/README", "not ours");
  {
    const auto hold = store.keep_all();
    EXPECT_FALSE(store.free_moment());
    EXPECT_EQ(store.sweep({kept}, store.free_moment())->files, 0u);
    EXPECT_TRUE(store.has(dropped));
  }
  // Who held it between the moment and the sweep may have made use of what was to go.
  const auto before = store.free_moment();
  std::ignore = store.keep_all();
  EXPECT_EQ(store.sweep({kept}, before)->files, 0u);
  const auto swept = store.sweep({kept}, store.free_moment());
  ASSERT_TRUE(swept);
  EXPECT_EQ(swept->files, 2u);
  EXPECT_EQ(swept->bytes, 14u);
  EXPECT_TRUE(store.has(kept));
  EXPECT_FALSE(store.has(dropped));
  EXPECT_EQ(files_in(data.path()), 3u);
  EXPECT_TRUE(store.flush());
}

TEST(blob_store, what_a_killed_process_left_half_written_is_removed) {
  temp_dir data;
  { open_store(data); }
  data.write("store/tmp/7", "half");
  auto store = open_store(data);
  EXPECT_EQ(files_in(data.path()), 0u);
}

TEST(blob_store, each_step_that_fails_leaves_it_as_it_was) {
  int steps = 0;
  for (int failing = 1;; ++failing) {
    temp_dir data;
    int step = 0;
    std::string failed_path;
    bool armed = false;
    auto store = open_store(data, [&](std::string_view, const std::string& path) {
      if (!armed || ++step != failing) return 0;
      failed_path = path;
      return ENOSPC;
    });
    const digest before = *store.put("before");
    ASSERT_TRUE(store.flush());
    armed = true;
    const auto put = store.put("content");
    const auto flushed = put ? store.flush() : tl::expected<void, refusal>();
    armed = false;
    if (failed_path.empty()) break;
    ++steps;
    ASSERT_TRUE(!put || !flushed) << failing;
    const refusal& why = put ? flushed.error() : put.error();
    EXPECT_EQ(why.errc, refusal_errc::io);
    EXPECT_EQ(why.file, failed_path);
    EXPECT_NE(why.reason.find("No space left on device"), std::string::npos) << why.reason;
    EXPECT_NE(why.reason.find(failed_path), std::string::npos) << why.reason;
    EXPECT_TRUE(store.has(before));
    EXPECT_EQ(store.has(digest::of("content")), put.has_value());
    EXPECT_TRUE(fs::is_empty(data.path() / "store/tmp"));
    // With room again the same works.
    EXPECT_TRUE(store.put("content"));
    EXPECT_TRUE(store.flush());
  }
  EXPECT_GE(steps, 7);  // mkdir, open, write, rename, three fsyncs
}

TEST(blob_store, what_could_not_be_synced_is_written_anew_by_the_next_put) {
  temp_dir data;
  bool fails = false;
  auto store = open_store(data, [&](std::string_view call, const std::string& path) {
    return fails && call == "fsync" && fs::is_regular_file(path) ? EIO : 0;
  });
  const digest name = *store.put("content");
  struct stat first;
  ASSERT_EQ(stat((data.path() / file_of(name)).c_str(), &first), 0);
  const auto hold = fs::path(data.path() / "kept");
  fs::create_hard_link(data.path() / file_of(name), hold);  // So that its inode is not given again.
  fails = true;
  EXPECT_FALSE(store.flush());
  fails = false;
  // The kernel has told, and a second fsync of that file would succeed.
  ASSERT_TRUE(store.put("content"));
  struct stat second;
  ASSERT_EQ(stat((data.path() / file_of(name)).c_str(), &second), 0);
  EXPECT_NE(second.st_ino, first.st_ino);
  EXPECT_TRUE(store.flush());
}

TEST(blob_store, many_threads_put_the_same_contents) {
  temp_dir data;
  auto store = open_store(data);
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        const std::string content = "content " + std::to_string(n);
        const auto name = store.put(content);
        if (!name || !store.has(*name) || store.get(*name) != content) ++failed;
      }
      if (!store.flush()) ++failed;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(files_in(data.path()), 50u);
}

}  // namespace
}  // namespace troupe::cluster
