// SPDX-License-Identifier: Apache-2.0
#include "runtime/release_store.hpp"

#include "tests/runtime/store_scenario.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <iterator>
#include <semaphore>
#include <stop_token>
#include <thread>

#include <sys/stat.h>

namespace troupe {
namespace {

using tests::apply;
using tests::expect_whole;
using tests::first_app;
using tests::manifest_of;
using tests::prune;
using tests::second_app;
using tests::temp_dir;
namespace fs = std::filesystem;

release_store open_store(const fs::path& data) {
  auto store = release_store::open(data);
  EXPECT_TRUE(store) << (store ? "" : text(store.error()));
  return *std::move(store);
}

ino_t inode(const fs::path& file) {
  struct stat found;
  return stat(file.c_str(), &found) == 0 ? found.st_ino : 0;
}

TEST(release_store, an_empty_one_has_no_release) {
  temp_dir data;
  auto store = open_store(data.path());
  EXPECT_TRUE(store.list()->empty());
  EXPECT_FALSE(*store.active());
  const auto none = store.find(1);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().reason, "no release 1");
}

TEST(release_store, a_release_is_there_after_a_restart) {
  temp_dir data;
  const auto time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1767323045678));
  {
    auto store = open_store(data.path());
    EXPECT_EQ(*apply(store, first_app, 0), 1);
    for (const auto& [path, content] : second_app) ASSERT_TRUE(store.blobs().put(content));
    const auto number = store.commit({.manifest = manifest_of(second_app),
                                      .author = "ann",
                                      .message = "b\xc3\xa4r\n'; DROP TABLE releases",
                                      .parent = 1,
                                      .time = time});
    ASSERT_TRUE(number) << number.error().problem.reason;
    EXPECT_EQ(*number, 2);
  }
  auto store = open_store(data.path());
  const auto active = store.active();
  ASSERT_TRUE(active && *active);
  EXPECT_EQ((*active)->number, 2);
  EXPECT_EQ((*active)->parent, 1);
  EXPECT_EQ((*active)->digest, manifest_of(second_app).id());
  EXPECT_EQ((*active)->author, "ann");
  EXPECT_EQ((*active)->message, "b\xc3\xa4r\n'; DROP TABLE releases");
  EXPECT_EQ((*active)->time, time);
  const auto all = store.list();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].number, 2);
  EXPECT_EQ((*all)[1].number, 1);
  expect_whole(store, 1, first_app);
  expect_whole(store, 2, second_app);
}

TEST(release_store, of_two_commits_over_the_same_release_one_loses) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_EQ(*apply(store, first_app, 0), 1);
  ASSERT_EQ(*apply(store, second_app, 1), 2);
  const auto late = store.commit({.manifest = manifest_of(first_app), .parent = 1});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().lost_against, 2);
  EXPECT_EQ(late.error().problem.reason, "release 2 is active, not 1");
  EXPECT_EQ(store.list()->size(), 2u);
  // A refused one has no number.
  EXPECT_EQ(*apply(store, first_app, 2), 3);
}

TEST(release_store, threads_that_commit_at_once_get_one_number_each) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_EQ(*apply(store, first_app, 0), 1);
  std::atomic<int> won = 0;
  std::atomic<int> lost = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5; ++n) {
        const auto active = store.active();
        const auto done =
            store.commit({.manifest = manifest_of(first_app), .parent = (*active)->number});
        if (done) {
          ++won;
        } else if (done.error().lost_against) {
          ++lost;
        }
        store.config().set("k", {config_type::number, std::to_string(n)}, "t", {}).value();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(won + lost, 20);
  EXPECT_EQ((*store.active())->number, 1 + won);
  EXPECT_EQ(store.list()->size(), 1u + static_cast<std::size_t>(won));
  EXPECT_EQ(*store.config().version(), 20u);
}

TEST(release_store, an_older_release_becomes_active_again) {
  temp_dir data;
  {
    auto store = open_store(data.path());
    ASSERT_EQ(*apply(store, first_app, 0), 1);
    ASSERT_EQ(*apply(store, second_app, 1), 2);
    EXPECT_EQ(store.activate(1, 7).error().lost_against, 2);
    EXPECT_EQ(store.activate(9).error().problem.reason, "no release 9");
    ASSERT_TRUE(store.activate(1, 2));
  }
  auto store = open_store(data.path());
  EXPECT_EQ((*store.active())->number, 1);
  // The next one goes on from there.
  EXPECT_EQ(*apply(store, second_app, 1), 3);
  EXPECT_EQ(store.find(3)->parent, 1);
}

TEST(release_store, a_release_whose_contents_are_not_there_is_refused) {
  temp_dir data;
  auto store = open_store(data.path());
  const auto refused = store.commit({.manifest = manifest_of(first_app)});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().problem.reason.starts_with("html/index.html: there is no content"))
      << refused.error().problem.reason;
  EXPECT_FALSE(refused.error().lost_against);
  EXPECT_FALSE(store.tree(manifest_of(first_app)));
  EXPECT_TRUE(fs::is_empty(data.path() / "trees"));
  // Nor one that lies about a size, or whose paths lead out.
  ASSERT_TRUE(store.blobs().put("x"));
  cluster::manifest lies{.files = {{.path = "a", .size = 2, .content = cluster::digest::of("x")}}};
  EXPECT_FALSE(store.commit({.manifest = lies}));
  EXPECT_FALSE(store.tree(lies));
  lies.files[0] = {.path = "../a", .size = 1, .content = cluster::digest::of("x")};
  EXPECT_FALSE(store.commit({.manifest = lies}));
  EXPECT_FALSE(store.tree(lies));
  EXPECT_FALSE(*store.active());
}

TEST(release_store, what_did_not_change_keeps_its_inode_from_tree_to_tree) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_TRUE(apply(store, first_app, 0));
  ASSERT_TRUE(apply(store, second_app, 1));
  const auto first = store.tree(manifest_of(first_app));
  const auto second = store.tree(manifest_of(second_app));
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(first->ends_with('/') && first->starts_with('/'));
  EXPECT_EQ(inode(*first + "nginx.conf"), inode(*second + "nginx.conf"));
  EXPECT_NE(inode(*first + "lua/a.lua"), inode(*second + "lua/a.lua"));
  EXPECT_EQ(fs::last_write_time(*first + "nginx.conf"),
            fs::last_write_time(*second + "nginx.conf"));
}

TEST(release_store, a_damaged_tree_is_repaired) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_TRUE(apply(store, second_app, 0));
  const fs::path tree = *store.tree(manifest_of(second_app));
  fs::remove(tree / "nginx.conf");
  fs::remove_all(tree / "lua/deep");
  tests::write_file(tree / "lua/deep", "a file in the place of a folder");
  fs::remove(tree / "bin/run");
  fs::create_directory(tree / "bin/run");
  fs::remove(tree / "lua/a.lua");
  tests::write_file(tree / "lua/a.lua", "return 3\n");
  tests::write_file(tree / "html/stranger.html", "");
  fs::create_symlink("/etc", tree / "etc");
  expect_whole(store, 1, second_app);
  // Gone as a whole, and a file in its place.
  fs::remove_all(tree);
  expect_whole(store, 1, second_app);
  fs::remove_all(tree);
  std::string file = tree.string();
  file.pop_back();
  tests::write_file(file, "");
  expect_whole(store, 1, second_app);
  EXPECT_TRUE(fs::exists("/etc/passwd"));
}

TEST(release_store, a_content_changed_through_a_tree_is_noticed_and_healed_by_the_next_apply) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_TRUE(apply(store, first_app, 0));
  const fs::path tree = *store.tree(manifest_of(first_app));
  fs::permissions(tree / "lua/a.lua", fs::perms::owner_all);
  tests::write_file(tree / "lua/a.lua", "return 9\n");
  const auto refused = store.tree(manifest_of(first_app));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().reason.find("lua/a.lua"), std::string::npos);
  EXPECT_NE(refused.error().reason.find("damaged"), std::string::npos);
  EXPECT_NE(refused.error().hint, "");
  ASSERT_EQ(*apply(store, first_app, 1), 2);
  expect_whole(store, 2, first_app);
}

TEST(release_store, shows_what_changed_by_file) {
  temp_dir data;
  auto store = open_store(data.path());
  auto before = first_app;
  before["html/logo.png"] = std::string("\x89PNG\0\0old", 9);
  auto after = second_app;
  after["html/logo.png"] = std::string("\x89PNG\0\0new", 9);
  ASSERT_EQ(*apply(store, before, 0), 1);
  ASSERT_EQ(*apply(store, after, 1), 2);
  const auto diff = store.diff(1, 2);
  ASSERT_TRUE(diff);
  ASSERT_EQ(diff->size(), 5u);
  EXPECT_EQ((*diff)[0].path, "bin/run");
  EXPECT_EQ((*diff)[0].change, cluster::file_change::added);
  EXPECT_EQ((*diff)[0].text, "--- /dev/null\n+++ b/bin/run\n@@ -0,0 +1,1 @@\n+#!/bin/sh\n");
  EXPECT_EQ((*diff)[1].text,
            "--- a/html/index.html\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-<p>one\n"
            "\\ No newline at end of file\n");
  EXPECT_TRUE((*diff)[2].binary);
  EXPECT_EQ((*diff)[2].text, "Binary files a/html/logo.png and b/html/logo.png differ\n");
  EXPECT_EQ((*diff)[3].text,
            "--- a/lua/a.lua\n+++ b/lua/a.lua\n@@ -1,1 +1,1 @@\n-return 1\n+return 2\n");
  EXPECT_EQ(store.diff(0, 1)->size(), before.size());
  EXPECT_TRUE(store.diff(2, 2)->empty());
  EXPECT_FALSE(store.diff(1, 3));
}

TEST(release_store, a_mode_that_changed_is_a_difference) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_EQ(*apply(store, second_app, 0), 1);
  cluster::manifest files = manifest_of(second_app);
  files.files[0].executable = false;
  ASSERT_TRUE(store.commit({.manifest = files, .parent = 1}));
  const auto diff = store.diff(1, 2);
  ASSERT_EQ(diff->size(), 1u);
  EXPECT_EQ((*diff)[0].text, "old mode 0755\nnew mode 0644\n");
}

TEST(release_store, pruning_forgets_old_releases_and_what_only_they_had) {
  temp_dir data;
  auto store = open_store(data.path());
  for (int n = 1; n <= 6; ++n) {
    auto app = first_app;
    app["lua/n.lua"] = "return " + std::to_string(n);
    ASSERT_EQ(*apply(store, app, n - 1), n);
  }
  ASSERT_TRUE(store.activate(2));
  const auto gone = prune(store, 2, {4});
  ASSERT_TRUE(gone) << text(gone.error());
  EXPECT_EQ(gone->releases, (std::vector{1, 3}));
  EXPECT_EQ(gone->trees.size(), 4u);  // all but those of 2 and 4
  EXPECT_EQ(gone->contents.files, 2u);
  for (int n : {2, 4, 5, 6}) {
    auto app = first_app;
    app["lua/n.lua"] = "return " + std::to_string(n);
    expect_whole(store, n, app);
  }
  EXPECT_FALSE(store.find(1));
  EXPECT_FALSE(store.manifest_of(3));
  // Again: nothing to do. Without the newest: their numbers are not given again.
  EXPECT_TRUE(prune(store, 2, {4})->releases.empty());
  EXPECT_EQ(prune(store, 0, {})->releases, (std::vector{4, 5, 6}));
  EXPECT_EQ(*apply(store, second_app, 2), 7);
}

TEST(release_store, trees_that_another_process_may_serve_from_stay_until_it_has_left) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_EQ(*apply(store, first_app, 0), 1);
  ASSERT_EQ(*apply(store, second_app, 1), 2);
  {
    const auto draining = open_store(data.path());
    const auto gone = prune(store, 1, {});
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->releases, std::vector{1});
    EXPECT_TRUE(gone->trees.empty());
  }
  EXPECT_EQ(prune(store, 1, {})->trees.size(), 1u);
}

TEST(release_store, a_prune_leaves_alone_what_is_being_applied) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_EQ(*apply(store, first_app, 0), 1);
  {
    const auto hold = store.blobs().keep_all();
    for (const auto& [path, content] : second_app) ASSERT_TRUE(store.blobs().put(content));
    const cluster::manifest files = manifest_of(second_app);
    ASSERT_TRUE(store.tree(files));
    ASSERT_TRUE(prune(store, 1, {}, {files.id()})->trees.empty());
    ASSERT_TRUE(store.commit({.manifest = files, .parent = 1}));
  }
  expect_whole(store, 2, second_app);
  // What a refused apply left goes with the next prune.
  ASSERT_TRUE(store.blobs().put("refused"));
  EXPECT_EQ(prune(store, 9, {2})->contents.files, 1u);
}

TEST(release_store, what_is_applied_again_while_old_releases_go_stays) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_EQ(*apply(store, first_app, 0), 1);
  ASSERT_EQ(*apply(store, second_app, 1), 2);
  auto left = store.forget(1, {});
  ASSERT_TRUE(left);
  EXPECT_EQ(left->trees.size(), 1u);
  // Its tree has lost its name already, its contents are doomed.
  ASSERT_EQ(*apply(store, first_app, 2), 3);
  const auto gone = store.remove(*std::move(left));
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->contents.files, 0u);
  expect_whole(store, 3, first_app);
  // One that was committed, but begun before: nobody may count on a moment when he holds contents.
  auto hold = store.blobs().keep_all();
  left = store.forget(1, {});
  hold.reset();
  EXPECT_EQ(store.remove(*std::move(left))->contents.files, 0u);
  EXPECT_EQ(prune(store, 1, {})->contents.files, 4u);  // Of the second: one has a twin.
  expect_whole(store, 3, first_app);
}

// Each step of the removal waits until everything else has been done beside it.
TEST(release_store, nobody_waits_for_what_is_removed) {
  temp_dir data;
  std::atomic<bool> is_armed = false;
  std::binary_semaphore reached(0);
  std::binary_semaphore go_on(0);
  auto store = *release_store::open(data.path(), [&](std::string_view call, const std::string&) {
    if (is_armed.exchange(false) && call == "unlink") {
      reached.release();
      go_on.acquire();
    }
    return 0;
  });
  ASSERT_EQ(*apply(store, first_app, 0), 1);
  ASSERT_EQ(*apply(store, second_app, 1), 2);
  auto left = store.forget(1, {});
  ASSERT_TRUE(left);
  is_armed = true;
  std::thread removing([&] { EXPECT_TRUE(store.remove(*std::move(left))); });
  reached.acquire();
  EXPECT_EQ(*apply(store, first_app, 2), 3);
  EXPECT_TRUE(store.config().set("k", {config_type::string, "v"}, "test", {}));
  EXPECT_EQ(store.list()->size(), 2u);
  go_on.release();
  removing.join();
  expect_whole(store, 3, first_app);
}

TEST(release_store, a_removal_that_is_told_to_stop_goes_on_with_the_next_one) {
  temp_dir data;
  auto store = open_store(data.path());
  ASSERT_EQ(*apply(store, first_app, 0), 1);
  ASSERT_EQ(*apply(store, second_app, 1), 2);
  auto left = store.forget(1, {});
  ASSERT_TRUE(left);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(store.remove(*std::move(left), stop.get_token())->contents.files, 0u);
  const auto trees = [&] {
    return std::distance(fs::directory_iterator(data.path() / "trees"), fs::directory_iterator());
  };
  EXPECT_EQ(trees(), 2);
  EXPECT_EQ(prune(store, 1, {})->contents.files, 2u);
  EXPECT_EQ(trees(), 1);
}

TEST(release_store, a_database_of_a_newer_troupe_is_refused) {
  temp_dir data;
  { open_store(data.path()); }
  const fs::path file = data.path() / "troupe.db";
  std::string bytes = tests::read_file(file);
  ASSERT_EQ(bytes[63], 1);  // user_version, big-endian at 60
  bytes[63] = 2;
  tests::write_file(file, bytes);
  const auto refused = release_store::open(data.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().file, file);
  EXPECT_EQ(
      refused.error().reason,
      "the database was written by a newer troupe: its schema is version 2, this troupe knows 1");
  EXPECT_NE(refused.error().hint, "");
  EXPECT_EQ(tests::read_file(file), bytes);
}

TEST(release_store, a_database_of_somebody_else_is_refused) {
  temp_dir data;
  { open_store(data.path()); }
  const fs::path file = data.path() / "troupe.db";
  std::string bytes = tests::read_file(file);
  bytes[68] = 'x';  // application_id, at 68
  tests::write_file(file, bytes);
  const auto refused = release_store::open(data.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "this is a database of another program");
}

TEST(release_store, a_damaged_database_is_refused_with_what_to_do) {
  temp_dir data;
  {
    auto store = open_store(data.path());
    ASSERT_TRUE(apply(store, first_app, 0));
    for (int n = 0; n < 500; ++n) {
      ASSERT_TRUE(
          store.config().set("key" + std::to_string(n), {config_type::string, "v"}, "t", {}));
    }
  }
  const fs::path file = data.path() / "troupe.db";
  const std::string whole = tests::read_file(file);
  ASSERT_GE(whole.size(), 16u * 4096);
  const auto expect_refused = [&](const std::string& bytes) {
    tests::write_file(file, bytes);
    const auto refused = release_store::open(data.path());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().file, file);
    EXPECT_TRUE(refused.error().reason.starts_with("the database is damaged"))
        << refused.error().reason;
    EXPECT_NE(refused.error().hint, "");
    fs::remove(file.string() + "-wal");
    fs::remove(file.string() + "-shm");
  };
  expect_refused(std::string(8192, 'x'));
  expect_refused("not a database");
  // Cut in the middle, and a page of zeros.
  for (std::size_t page = 1; page < whole.size() / 4096; ++page) {
    expect_refused(whole.substr(0, page * 4096));
    std::string zeros = whole;
    zeros.replace(page * 4096, 4096, 4096, '\0');
    // A page that nobody uses may be anything; SQLite has none here.
    expect_refused(zeros);
  }
  tests::write_file(file, whole);
  auto store = open_store(data.path());
  expect_whole(store, 1, first_app);
}

TEST(release_store, a_log_that_was_cut_or_overwritten_leaves_a_whole_older_state) {
  temp_dir data;
  temp_dir copies;
  // Copied while it is open, as a crash leaves it: the log has everything.
  auto store = open_store(data.path());
  ASSERT_EQ(*apply(store, first_app, 0), 1);
  ASSERT_EQ(*apply(store, second_app, 1), 2);
  const std::string log = data.read("troupe.db-wal");
  const std::string main = data.read("troupe.db");
  ASSERT_GT(log.size(), 4096u);
  std::set<int> seen;
  for (std::size_t size = 0; size <= log.size(); size += 1373) {
    for (const bool overwritten : {false, true}) {
      const fs::path copy = copies.path() / (std::to_string(size) + (overwritten ? "x" : ""));
      fs::create_directories(copy);
      fs::copy(data.path() / "store", copy / "store", fs::copy_options::recursive);
      tests::write_file(copy / "troupe.db", main);
      std::string part = log.substr(0, size);
      if (overwritten) part.resize(log.size(), 'x');
      tests::write_file(copy / "troupe.db-wal", part);
      auto cut = release_store::open(copy);
      ASSERT_TRUE(cut) << text(cut.error());
      const auto active = cut->active();
      ASSERT_TRUE(active);
      const int number = *active ? (*active)->number : 0;
      seen.insert(number);
      if (number > 0) expect_whole(*cut, 1, first_app);
      if (number > 1) expect_whole(*cut, 2, second_app);
      EXPECT_EQ(cut->list()->size(), static_cast<std::size_t>(number));
      fs::remove_all(copy);
    }
  }
  EXPECT_TRUE(seen.contains(0) && seen.contains(1));
}

TEST(release_store, a_folder_that_cannot_be_is_refused) {
  temp_dir data;
  data.write("file", "");
  const auto refused = release_store::open(data.path() / "file/data");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().reason.find("/file\" failed"), std::string::npos)
      << refused.error().reason;
}

}  // namespace
}  // namespace troupe
