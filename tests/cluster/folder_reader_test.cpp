// SPDX-License-Identifier: Apache-2.0
#include "cluster/folder_reader.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <map>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

using tests::temp_dir;
namespace fs = std::filesystem;

struct reading {
  tl::expected<manifest, refusal> result;
  std::map<digest, std::string> contents;

  [[nodiscard]] std::vector<std::string> paths() const {
    std::vector<std::string> all;
    if (result) {
      for (const auto& file : result->files) all.push_back(file.path);
    }
    return all;
  }
};

reading read_it(const fs::path& folder, const folder_limits& limits = {}) {
  reading r;
  r.result = read_folder(folder, limits, [&](const digest& name, std::string_view content) {
    r.contents.insert_or_assign(name, std::string(content));
    return tl::expected<void, refusal>();
  });
  return r;
}

using paths = std::vector<std::string>;

TEST(folder_reader, takes_the_files_of_a_folder) {
  temp_dir app;
  app.write("nginx.conf", "server {}");
  app.write("lua/a.lua", "return 1");
  chmod(app.write("bin/run", "#!/bin/sh").c_str(), 0755);
  fs::create_directories(app.path() / "empty/folder");
  const reading r = read_it(app.path());
  ASSERT_TRUE(r.result) << r.result.error().reason;
  EXPECT_EQ(r.paths(), (paths{"bin/run", "lua/a.lua", "nginx.conf"}));
  EXPECT_TRUE(r.result->find("bin/run")->executable);
  EXPECT_FALSE(r.result->find("nginx.conf")->executable);
  EXPECT_EQ(r.result->find("nginx.conf")->size, 9u);
  EXPECT_EQ(r.contents.at(digest::of("return 1")), "return 1");
  // The same with a slash, and from another place.
  EXPECT_EQ(*read_it(app.path() / "").result, *r.result);
}

TEST(folder_reader, leaves_out_what_is_no_part_of_a_release) {
  temp_dir app;
  app.write(".git/HEAD", "ref");
  app.write("nginx.conf", "");
  app.write("nginx.conf~", "");
  app.write("lua/.a.lua.swp", "");
  app.write("logs/error.log", "");
  app.write("proxy_temp/1", "");
  app.write("lua/logs/init.lua", "");
  app.write("notes/todo.txt", "");
  app.write(".troupeignore", "/notes/\n");
  // Emacs's lock.
  fs::create_symlink("me@host.1:2", app.path() / "lua/.#a.lua");
  const reading r = read_it(app.path());
  ASSERT_TRUE(r.result) << r.result.error().reason;
  EXPECT_EQ(r.paths(), (paths{".troupeignore", "lua/logs/init.lua", "nginx.conf"}));
}

TEST(folder_reader, follows_links_that_stay_inside) {
  temp_dir app;
  app.write("certs/real.pem", "pem");
  fs::create_symlink("real.pem", app.path() / "certs/current.pem");
  fs::create_symlink(app.path() / "certs", app.path() / "tls");
  const reading r = read_it(app.path());
  ASSERT_TRUE(r.result) << r.result.error().reason;
  EXPECT_EQ(r.paths(),
            (paths{"certs/current.pem", "certs/real.pem", "tls/current.pem", "tls/real.pem"}));
  EXPECT_EQ(r.result->find("certs/current.pem")->content, digest::of("pem"));
}

TEST(folder_reader, refuses_links_that_lead_out) {
  temp_dir app;
  temp_dir elsewhere;
  elsewhere.write("secret", "x");
  app.write("lua/a.lua", "");
  for (const fs::path& target : {elsewhere.path() / "secret", elsewhere.path(),
                                 fs::path("../../../../etc/passwd"), fs::path("..")}) {
    fs::create_symlink(target, app.path() / "lua/link");
    const reading r = read_it(app.path());
    ASSERT_FALSE(r.result) << target;
    EXPECT_EQ(r.result.error().errc, refusal_errc::bad_path);
    EXPECT_EQ(r.result.error().file, "lua/link");
    fs::remove(app.path() / "lua/link");
  }
  // A name that only begins like the folder's.
  const fs::path beside = app.path().string() + "-beside";
  fs::create_directory(beside);
  fs::create_symlink(beside, app.path() / "lua/link");
  EXPECT_FALSE(read_it(app.path()).result);
  fs::remove(beside);
  const reading r = read_it(app.path());
  ASSERT_FALSE(r.result);
  EXPECT_EQ(r.result.error().reason, "\"lua/link\" is a link that leads nowhere");
}

TEST(folder_reader, refuses_links_in_a_circle) {
  temp_dir app;
  app.write("lua/a.lua", "");
  fs::create_symlink(app.path() / "lua", app.path() / "lua/again");
  reading r = read_it(app.path());
  ASSERT_FALSE(r.result);
  EXPECT_EQ(r.result.error().reason, "\"lua/again\" is a link to a folder that it lies in");
  fs::remove(app.path() / "lua/again");
  fs::create_symlink("self", app.path() / "lua/self");
  r = read_it(app.path());
  ASSERT_FALSE(r.result);
  EXPECT_EQ(r.result.error().file, "lua/self");
}

TEST(folder_reader, refuses_what_is_no_file_and_names_it) {
  temp_dir app;
  ASSERT_EQ(mkfifo((app.path() / "pipe").c_str(), 0600), 0);
  reading r = read_it(app.path());
  ASSERT_FALSE(r.result);
  EXPECT_EQ(r.result.error().errc, refusal_errc::bad_kind);
  EXPECT_EQ(r.result.error().reason, "\"pipe\" is a named pipe, which no release can hold");
  fs::remove(app.path() / "pipe");
  // Unless it is left out.
  ASSERT_EQ(mkfifo((app.path() / "pipe").c_str(), 0600), 0);
  app.write(".troupeignore", "pipe\n");
  EXPECT_TRUE(read_it(app.path()).result);
}

TEST(folder_reader, leaves_out_what_a_running_node_makes) {
  temp_dir app;
  app.write("nginx.conf", "x");
  app.write("error.log", "x");
  app.write("logs/access", "x");
  app.write("state/troupe.pid", "1");
  app.write("state/troupe.db", "x");
  app.write("state/store/ab/cd", "x");
  const int listening = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX};
  const std::string path = app.path() / "app.sock";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(listening);
  const reading r = read_it(app.path());
  ASSERT_TRUE(r.result);
  ASSERT_EQ(r.result->files.size(), 1u);
  EXPECT_EQ(r.result->files[0].path, "nginx.conf");
}

TEST(folder_reader, refuses_what_is_too_large) {
  temp_dir app;
  app.write("a", "12345");
  app.write("b/c/d", "123");
  EXPECT_TRUE(
      read_it(app.path(), {.files = 2, .file_bytes = 5, .total_bytes = 8, .depth = 3}).result);
  for (const folder_limits& limits : {folder_limits{.files = 1}, folder_limits{.file_bytes = 4},
                                      folder_limits{.total_bytes = 7}, folder_limits{.depth = 2}}) {
    const reading r = read_it(app.path(), limits);
    ASSERT_FALSE(r.result);
    EXPECT_EQ(r.result.error().errc, refusal_errc::too_large) << r.result.error().reason;
  }
}

TEST(folder_reader, a_folder_that_changes_meanwhile_is_read_again) {
  temp_dir app;
  app.write("a", "1");
  app.write("b", "1");
  bool changed = false;
  const auto result = read_folder(app.path(), {}, [&](const digest&, std::string_view) {
    // While "b" is read, "a" changes: the two were never there together.
    if (!std::exchange(changed, true)) app.write("a", "22");
    return tl::expected<void, refusal>();
  });
  ASSERT_TRUE(result) << result.error().reason;
  EXPECT_EQ(result->find("a")->content, digest::of("22"));
}

TEST(folder_reader, files_that_come_and_go_meanwhile_are_read_again) {
  temp_dir app;
  app.write("a", "1");
  app.write("b", "1");
  int calls = 0;
  const auto result = read_folder(app.path(), {}, [&](const digest&, std::string_view) {
    if (++calls == 1) {
      fs::remove(app.path() / "b");
      app.write("new/c", "3");
    }
    return tl::expected<void, refusal>();
  });
  ASSERT_TRUE(result) << result.error().reason;
  ASSERT_EQ(result->files.size(), 2u);
  EXPECT_EQ(result->files[1].path, "new/c");
}

TEST(folder_reader, what_goes_on_changing_is_refused) {
  temp_dir app;
  app.write("a", "1");
  app.write("busy", "");
  std::string more;
  int calls = 0;
  const auto result =
      read_folder(app.path(), {.attempts = 3}, [&](const digest&, std::string_view) {
        ++calls;
        app.write("busy", more += 'x');
        return tl::expected<void, refusal>();
      });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().errc, refusal_errc::unstable);
  EXPECT_EQ(result.error().reason, "\"busy\" changes while it is read");
  EXPECT_LE(calls, 6);
}

TEST(folder_reader, a_refusal_of_the_taker_ends_it) {
  temp_dir app;
  app.write("a", "1");
  app.write("b", "1");
  int calls = 0;
  const auto result = read_folder(app.path(), {}, [&](const digest&, std::string_view) {
    ++calls;
    return tl::expected<void, refusal>(tl::unexpected(refusal{.reason = "the disk is full"}));
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, "the disk is full");
  EXPECT_EQ(calls, 1);
}

TEST(folder_reader, a_folder_that_cannot_be_listed_is_refused_and_not_taken_for_empty) {
  temp_dir app;
  app.write("html/a", "1");
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int next = dup(0);  // The lowest free descriptor.
  close(next);
  // The top, its listing's, which is closed again, and html/ itself, but not html/'s listing.
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(next) + 2;
  setrlimit(RLIMIT_NOFILE, &low);
  const auto result = read_it(app.path()).result;
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().errc, refusal_errc::io);
  EXPECT_EQ(result.error().file, "html");
}

TEST(folder_reader, a_folder_that_is_not_there_is_missing) {
  temp_dir app;
  EXPECT_EQ(read_it(app.path() / "none").result.error().errc, refusal_errc::missing);
  app.write("file", "");
  EXPECT_FALSE(read_it(app.path() / "file").result);
}

}  // namespace
}  // namespace troupe::cluster
