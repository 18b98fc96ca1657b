// SPDX-License-Identifier: Apache-2.0
//
// A data folder that cannot be written: a node does not start on it, one that runs serves on and says
// why it changes nothing.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/control_client.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

namespace fs = std::filesystem;

/// The binary as a user for whom the modes of files count: root without the right to pass over them.
std::vector<std::string> bound_by_modes(std::vector<std::string> words) {
  std::vector<std::string> command{binary_under_test()};
  if (getuid() == 0) {
    command.insert(command.begin(),
                   {"setpriv", "--bounding-set", "-dac_override,-dac_read_search"});
  }
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

bool modes_count() {
  if (getuid() != 0) return true;
  return run({"setpriv", "--bounding-set", "-dac_override,-dac_read_search", "true"}).status == 0;
}

/// A folder and those in it, not to be written in until the end.
class locked {
 public:
  explicit locked(std::vector<fs::path> folders) : folders_(std::move(folders)) {
    for (const fs::path& each : folders_) fs::permissions(each, fs::perms(0555));
  }
  ~locked() {
    std::error_code ignored;
    for (const fs::path& each : folders_) fs::permissions(each, fs::perms(0755), ignored);
  }
  locked(const locked&) = delete;
  locked& operator=(const locked&) = delete;

 private:
  std::vector<fs::path> folders_;
};

/// All folders below one.
std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found{folder};
  for (const auto& each : fs::recursive_directory_iterator(folder)) {
    if (each.is_directory()) found.push_back(each.path());
  }
  return found;
}

std::string conf_of(const std::string& word) {
  return "server { listen 8080; return 200 " + word + "; }";
}

bool listens(const std::string& out, const std::string&) {
  return out.find("listening on ") != std::string::npos && out.ends_with('\n');
}

endpoint listener_of(const process& node) {
  const std::string out = node.out();
  const auto at = out.find("http://");
  return endpoint::of(out.substr(at, out.find('\n', at) - at));
}

void expect_refused(const control_client::answer& got, const fs::path& data, const std::string& why) {
  EXPECT_EQ(got.status, 507) << got.body;
  EXPECT_EQ(got.body["error"], "storage_failed");
  EXPECT_EQ(got.body["active"], 1);
  const std::string reason = got.body.value("reason", "");
  EXPECT_NE(reason.find(data.string()), std::string::npos) << reason;
  EXPECT_NE(reason.find(why), std::string::npos) << reason;
  EXPECT_NE(got.body["problems"][0]["hint"], "") << got.body;
}

}  // namespace

TEST(data_folder, that_cannot_be_written_stops_the_start) {
  if (!modes_count()) GTEST_SKIP() << "root cannot give up its rights here";
  temp_dir folder;
  folder.write("app/nginx.conf", conf_of("one"));
  const std::string app = (folder.path() / "app").string();
  const fs::path data = folder.path() / "data";
  const auto start = [&](const fs::path& where, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"run", app, "--data", where.string(), "--port", "0"};
    words.insert(words.end(), more.begin(), more.end());
    return run(bound_by_modes(std::move(words)));
  };
  fs::create_directory(data);
  {
    const locked now({data});
    const finished refused = start(data);
    EXPECT_EQ(refused.status, 1);
    EXPECT_EQ(refused.out, "");
    EXPECT_TRUE(refused.err.starts_with("the data folder " + data.string() +
                                        " cannot be written: Permission denied\n  hint: user "))
        << refused.err;
    EXPECT_NE(refused.err.find("--data DIR"), std::string::npos) << refused.err;
    EXPECT_TRUE(start(data, {"--json"}).out.starts_with("{\"error\":\"start_failed\","));
    // One that would have to be made in it.
    EXPECT_TRUE(start(data / "deeper").err.starts_with("the data folder " + (data / "deeper").string() +
                                                       " cannot be made: Permission denied\n"));
  }
  EXPECT_TRUE(start(folder.path() / "app/nginx.conf")
                  .err.starts_with("the data folder " + app + "/nginx.conf cannot be made: Not a directory\n"));
  // Parts of it that are there from before.
  {
    process first(bound_by_modes({"run", app, "--data", data.string(), "--port", "0"}));
    ASSERT_TRUE(first.wait_for(listens));
    first.signal(SIGQUIT);
    EXPECT_EQ(first.wait(), 0);
  }
  for (const char* part : {"store", "trees", "store/tmp"}) {
    const locked now({data / part});
    EXPECT_TRUE(start(data).err.starts_with("the data folder " + data.string() + " cannot be written, its " +
                                            part + ": Permission denied\n"));
  }
  fs::permissions(data / "troupe.db", fs::perms(0444));
  EXPECT_TRUE(start(data).err.starts_with("the data folder " + data.string() +
                                          " cannot be written, its troupe.db: Permission denied\n"));
}

TEST(data_folder, that_may_no_longer_be_written_refuses_changes_and_serves_on) {
  if (!modes_count()) GTEST_SKIP() << "root cannot give up its rights here";
  temp_dir folder;
  folder.write("app/nginx.conf", conf_of("one"));
  const fs::path data = folder.path() / "data";
  process node(bound_by_modes({"run", (folder.path() / "app").string(), "--data", data.string(),
                               "--port", "0", "--shards", "1"}));
  ASSERT_TRUE(node.wait_for(listens)) << node.err();
  control_client control(data);
  {
    const locked now(folders_in(data));
    expect_refused(control.apply({{"nginx.conf", conf_of("two")}}), data, "Permission denied");
    EXPECT_EQ(control.ask("GET", "/v1/releases").body.size(), 1u);
    // HUP as well, in the log.
    folder.write("app/nginx.conf", conf_of("two"));
    node.signal(SIGHUP);
    EXPECT_TRUE(node.wait_for([](const std::string&, const std::string& err) {
      return err.find("failed (13: Permission denied)") != std::string::npos;
    }));
    EXPECT_EQ(test_client(listener_of(node)).get("/").body, "one");
  }
  EXPECT_NE(read_file(data / "audit.log").find("storage_failed"), std::string::npos);
  EXPECT_EQ(control.apply({{"nginx.conf", conf_of("two")}}).status, 200);
  EXPECT_EQ(test_client(listener_of(node)).get("/").body, "two");
  node.signal(SIGQUIT);
  EXPECT_EQ(node.wait(), 0);
}

namespace {

/// In the child, in a mount namespace of its own.
void apply_to_read_only(const fs::path& folder) {
  const fs::path data = folder / "data";
  process node({binary_under_test(), "run", (folder / "app").string(), "--data", data.string(),
                "--port", "0", "--shards", "1"});
  ASSERT_TRUE(node.wait_for(listens)) << node.err();
  const endpoint where = listener_of(node);
  // Open files can be written still: a mount that somebody writes to is not made read-only.
  ASSERT_EQ(mount(data.c_str(), data.c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(mount(nullptr, data.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0);
  expect_refused(control_client(data).apply({{"nginx.conf", conf_of("two")}}), data,
                 "Read-only file system");
  EXPECT_EQ(test_client(where).get("/").body, "one");
  const finished other = run({binary_under_test(), "run", (folder / "app").string(), "--data",
                              data.string(), "--port", "0"});
  EXPECT_EQ(other.status, 1);
  EXPECT_TRUE(other.err.starts_with("the data folder " + data.string() +
                                    " cannot be written: Read-only file system\n  hint: "))
      << other.err;
  ASSERT_EQ(umount(data.c_str()), 0);
  EXPECT_EQ(control_client(data).apply({{"nginx.conf", conf_of("two")}}).status, 200);
  EXPECT_EQ(test_client(where).get("/").body, "two");
  node.signal(SIGQUIT);
  EXPECT_EQ(node.wait(), 0);
}

}  // namespace

TEST(data_folder, that_has_become_read_only_refuses_changes_and_serves_on) {
  temp_dir folder;
  folder.write("app/nginx.conf", conf_of("one"));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      _exit(77);
    }
    apply_to_read_only(folder.path());
    fflush(nullptr);
    _exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no mount namespace without root";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace troupe::tests
