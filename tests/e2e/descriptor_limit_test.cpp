// SPDX-License-Identifier: Apache-2.0
//
// A node that may open no more files: what is under way goes on, an apply says what it lacks and leaves
// no half of a release, nobody spins, and once there are descriptors again all is as before.
//
// Source   getrlimit(2), RLIMIT_NOFILE; prlimit(2) sets it for a process that runs.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/control_client.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/troupe_command.hpp"

namespace troupe::tests {
namespace {

namespace fs = std::filesystem;

/// While one lives, the node has so many descriptors left.
class descriptors_left {
 public:
  descriptors_left(const test_node& node, unsigned count) : pid_(node.pid()) {
    std::set<unsigned> taken;
    for (const auto& each : fs::directory_iterator("/proc/" + std::to_string(pid_) + "/fd")) {
      taken.insert(static_cast<unsigned>(std::stoul(each.path().filename())));
    }
    unsigned limit = 0;  // What bounds the numbers, not how many there are.
    for (unsigned free = 0; taken.contains(limit) || free < count; ++limit) {
      if (!taken.contains(limit)) ++free;
    }
    EXPECT_EQ(prlimit(pid_, RLIMIT_NOFILE, nullptr, &before_), 0);
    const rlimit now{.rlim_cur = limit, .rlim_max = before_.rlim_max};
    EXPECT_EQ(prlimit(pid_, RLIMIT_NOFILE, &now, nullptr), 0);
  }
  ~descriptors_left() { prlimit(pid_, RLIMIT_NOFILE, &before_, nullptr); }
  descriptors_left(const descriptors_left&) = delete;
  descriptors_left& operator=(const descriptors_left&) = delete;

 private:
  pid_t pid_;
  rlimit before_{};
};

/// How long a process has computed.
std::chrono::milliseconds computed(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  std::istringstream rest(text.substr(text.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) rest >> skipped;
  long user = 0;
  long system = 0;
  rest >> user >> system;
  return std::chrono::milliseconds((user + system) * 1000 / sysconf(_SC_CLK_TCK));
}

/// An app that opens what an app may open while it is loaded.
app_files app_of(const std::string& word) {
  return {{"nginx.conf", "init_by_lua_block { word = require('word') ngx.sleep(0.001) }\n"
                         "init_worker_by_lua_block { assert(io.open('/proc/self/stat')):close() }\n"
                         "server { listen 8080; access_log logs/" + word + ".log; location / {\n"
                         "content_by_lua_block { ngx.print(word, ' ', require('late')) } } }"},
          {"lua/word.lua", "return '" + word + "'"},
          {"lua/late.lua", "return '" + word + "'"}};
}

std::string body_of(const std::string& word) { return word + ' ' + word; }

}  // namespace

TEST(descriptor_limit, an_apply_says_what_it_lacks_and_changes_nothing) {
  test_node node({.shards = 2, .conf = "server { listen 8080; return 200 first; }"});
  ASSERT_EQ(control_client(node.data()).apply(app_of("w")).status, 200);
  test_client client(node);
  ASSERT_EQ(client.get("/").body, body_of("w"));  // A connection that is there already.
  std::string serving = "w";
  int refused = 0;
  int done = 0;
  for (unsigned left = 0; left < 16; ++left) {
    const std::string next = "w" + std::to_string(left);
    {
      const descriptors_left few(node, left);
      const auto got = control_client(node.data()).apply(app_of(next));
      if (got.status == 200) {
        serving = next;
        ++done;
      } else {
        ++refused;
        EXPECT_TRUE(got.status == 422 || got.status == 507) << got.body;
        EXPECT_NE(got.body.dump().find("Too many open files"), std::string::npos) << got.body;
      }
      EXPECT_EQ(client.get("/").body, body_of(serving)) << left;
    }
    // Once there are descriptors again it is taken, whatever the failure left behind.
    if (serving != next) {
      const auto again = control_client(node.data()).apply(app_of(next));
      ASSERT_EQ(again.status, 200) << again.body;
      serving = next;
      EXPECT_EQ(client.get("/").body, body_of(serving));
    }
  }
  EXPECT_GT(refused, 2);
  EXPECT_GT(done, 2);
  EXPECT_EQ(control_client(node.data()).ask("GET", "/v1/releases").body.size(), 18u);
  EXPECT_EQ(node.stop(), 0);
}

TEST(descriptor_limit, without_any_left_the_command_line_is_answered_still) {
  test_node node({.conf = "server { listen 8080; return 200 first; }"});
  {
    const descriptors_left none(node, 0);
    node.edit_conf("server { listen 8080; return 200 second; }");
    for (int i = 0; i < 3; ++i) {  // The spare descriptor is there again each time.
      const finished refused = ask(node, {"apply", node.folder().string(), "--timeout", "30"});
      EXPECT_EQ(refused.status, 1) << refused.err;
      EXPECT_NE(refused.err.find("failed (24: Too many open files)\n  hint: this process may open "),
                std::string::npos)
          << refused.err;
      EXPECT_EQ(ask(node, {"status", "--timeout", "30"}).status, 0);
    }
    EXPECT_EQ(ask(node, {"config", "set", "k", "v", "--timeout", "30"}).status, 0);
  }
  EXPECT_EQ(ask(node, {"apply", node.folder().string()}).status, 0);
  EXPECT_EQ(test_client(node).get("/").body, "second");
  EXPECT_EQ(node.stop(), 0);
}

TEST(descriptor_limit, connections_wait_and_nobody_spins_until_there_are_some_again) {
  test_node node({.shards = 2, .conf = "server { listen 8080; return 200 served; }"});
  test_client client(node);
  ASSERT_EQ(client.get("/").body, "served");
  std::vector<pending_response> waiting;
  {
    const descriptors_left none(node, 0);
    for (int i = 0; i < 8; ++i) waiting.push_back(client.start("GET /"));
    EXPECT_TRUE(node.logs("accept4() failed (24: Too many open files)"));
    const auto before = computed(node.pid());
    std::this_thread::sleep_for(std::chrono::seconds(1));  // What is looked for takes time alone.
    EXPECT_LT((computed(node.pid()) - before).count(), 300);
    EXPECT_EQ(client.get("/").body, "served");
    for (auto& each : waiting) EXPECT_FALSE(each.has_begun());
  }
  for (auto& each : waiting) EXPECT_EQ(each.response().body, "served");
  EXPECT_EQ(node.stop(), 0);
}

TEST(descriptor_limit, a_node_that_may_open_too_few_files_does_not_start) {
  temp_dir folder;
  folder.write("app/nginx.conf", "init_by_lua_block { ngx.sleep(0) } server { listen 8080; }");
  bool started = false;
  for (int most = 4; most < 64 && !started; ++most) {
    process node({"sh", "-c", "ulimit -n \"$0\" && exec \"$@\"", std::to_string(most),
                  binary_under_test(), "run", (folder.path() / "app").string(), "--data",
                  (folder.path() / "data").string(), "--port", "0", "--shards", "2"});
    started = node.wait_for([](const std::string& out, const std::string&) {
      return out.find("listening on ") != std::string::npos;
    });
    if (started) {
      node.signal(SIGQUIT);
      EXPECT_EQ(node.wait(), 0);
    } else {
      EXPECT_NE(node.wait(), 0);
      // With the fewest it is the system's loader that says so, by the number.
      const std::string says = node.err();
      EXPECT_TRUE(says.find("Too many open files") != std::string::npos ||
                  says.find("Error 24") != std::string::npos)
          << most << ' ' << says;
      if (says.find("Too many open files") != std::string::npos) {
        EXPECT_NE(says.find("ulimit -n"), std::string::npos) << most << ' ' << says;
      }
    }
  }
  EXPECT_TRUE(started);
}

}  // namespace troupe::tests
