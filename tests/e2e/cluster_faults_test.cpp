// SPDX-License-Identifier: Apache-2.0
//
// Faults of a machine below a node of a cluster: a thread that does not get on, no descriptors left, a
// full disk, a stranger on the controller's port. The others notice nothing, and what can go on does.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

bool are_level(const test_cluster& cluster, std::size_t count, const std::string& by = "a") {
  const json all = json::parse(cluster.ask({"nodes", "--json"}, by).out, nullptr, false);
  if (!all.is_array() || all.size() != count) return false;
  for (const json& each : all) {
    if (each["live"] != true || each["behind"] != 0) return false;
  }
  return true;
}

void wait_for(const test_cluster& cluster, std::size_t count) {
  ASSERT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, count); }))
      << cluster.ask({"nodes"}).out;
}

/// A thread of a child process that is stopped alone, as by a disk that does not answer.
class stalled_thread {
 public:
  stalled_thread(pid_t process, const std::string& name) {
    const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
    for (const auto& each : std::filesystem::directory_iterator(tasks)) {
      std::string called;
      std::getline(std::ifstream(each.path() / "comm"), called);
      if (called == name) id_ = std::stoi(each.path().filename().string());
    }
    if (id_ == 0 || ptrace(PTRACE_SEIZE, id_, nullptr, nullptr) != 0) return;
    is_held_ = ptrace(PTRACE_INTERRUPT, id_, nullptr, nullptr) == 0 &&
               waitpid(id_, nullptr, __WALL) == id_;
  }
  ~stalled_thread() {
    if (is_held_) ptrace(PTRACE_DETACH, id_, nullptr, nullptr);
  }
  stalled_thread(const stalled_thread&) = delete;
  stalled_thread& operator=(const stalled_thread&) = delete;
  [[nodiscard]] bool is_held() const { return is_held_; }

 private:
  pid_t id_ = 0;
  bool is_held_ = false;
};

// libzmq 4.3.4 aborts here when the side that connects has heartbeats.
TEST(cluster_fault, a_node_whose_cluster_thread_stands_for_15_s_serves_on_and_is_level_afterwards) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  {
    const stalled_thread stalled(cluster.of("b").pid(), "cluster");
    if (!stalled.is_held()) GTEST_SKIP() << "no thread can be stopped here (ptrace)";
    const auto until = std::chrono::steady_clock::now() + 15s;
    for (int i = 0; std::chrono::steady_clock::now() < until; ++i) {
      EXPECT_EQ(cluster.ask({"config", "set", "count", std::to_string(i)}).status % 3, 0);
      EXPECT_EQ(cluster.get("b"), "one\n");
    }
    ASSERT_EQ(cluster.ask({"config", "set", "count", "last"}).status % 3, 0);
    ASSERT_EQ(cluster.ask({"push", cluster.app("two", "two")}).status, 0);
  }
  wait_for(cluster, 2);
  EXPECT_TRUE(cluster.of("b").is_running()) << cluster.of("b").err();
  EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get("b") == "two\n"; }));
  EXPECT_EQ(cluster.ask({"config", "get", "count"}, "b").out, "last\n");
}

// Seconds of the processor that it has used.
double used_by(pid_t process) {
  std::string stat;
  std::getline(std::ifstream("/proc/" + std::to_string(process) + "/stat"), stat);
  std::istringstream words(stat.substr(stat.rfind(')') + 2));
  std::string word;
  double ticks = 0;
  for (int i = 0; i < 13 && words >> word; ++i) {
    if (i >= 11) ticks += std::stod(word);
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

TEST(cluster_fault, at_its_descriptor_limit_a_controller_spins_not_and_its_nodes_go_on) {
  test_cluster cluster({.nodes = 0});
  cluster.launch_with("a", {"sh", "-c", "ulimit -n 150; exec \"$@\"", "sh"});
  for (const std::string name : {"a", "b"}) cluster.start(name);
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string address = cluster.address();
  at.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1))));
  std::vector<int> strangers;
  for (int i = 0; i < 400; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at);
    strangers.push_back(fd);
  }
  std::this_thread::sleep_for(500ms);
  const double before = used_by(cluster.of("a").pid());
  std::this_thread::sleep_for(3s);
  EXPECT_LT(used_by(cluster.of("a").pid()) - before, 1.5) << "of three seconds";
  EXPECT_TRUE(are_level(cluster, 2, "b"));
  EXPECT_EQ(cluster.ask({"config", "set", "word", "heard"}, "b").status, 0);
  EXPECT_EQ(cluster.ask({"config", "get", "word"}, "b").out, "heard\n");
  for (const int fd : strangers) close(fd);
  // Whoever comes now gets in.
  cluster.start("c");
  wait_for(cluster, 3);
  EXPECT_EQ(cluster.ask({"push", cluster.app("two", "two")}, "b").status, 0);
  EXPECT_EQ(cluster.get("c"), "two\n");
}

TEST(cluster_fault, a_port_that_a_stranger_has_taken_meanwhile_is_the_controllers_again) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  EXPECT_EQ(cluster.stop("a", SIGKILL), 128 + SIGKILL);
  {
    // One that speaks HTTP where b expects ZeroMQ, on both ports.
    const std::string address = cluster.address();
    const int port = std::stoi(address.substr(address.find(':') + 1));
    process stranger({binary_under_test(), "run",
                      cluster.app_with("stranger", "server { listen 1000; listen 1001; "
                                                   "location / { return 200 hello; } }"),
                      "--port", std::to_string(port), "--data", cluster.data("stranger")});
    ASSERT_TRUE(stranger.wait_for([](const std::string& out, const std::string&) {
      return out.find("listening on") != std::string::npos;
    })) << stranger.err();
    EXPECT_EQ(cluster.get("b"), "one\n");
    const finished refused = cluster.ask({"config", "set", "x", "1", "--timeout", "5"}, "b");
    EXPECT_EQ(refused.status, 4) << refused.out << refused.err;
    stranger.signal(SIGQUIT);
    EXPECT_EQ(stranger.wait(), 0);
  }
  cluster.start("a");
  wait_for(cluster, 2);
  EXPECT_EQ(cluster.ask({"push", cluster.app("two", "two")}, "b").status, 0);
  EXPECT_EQ(cluster.get("b"), "two\n");
}

// A disk of its own, which the test fills and makes room on.
class small_disk {
 public:
  explicit small_disk(std::string folder) : folder_(std::move(folder)) {}
  [[nodiscard]] std::vector<std::string> launcher() const {
    return {"unshare", "-rm", "sh", "-ec",
            "mkdir -p " + folder_ + "; mount -t tmpfs -o size=24m tmpfs " + folder_ +
                "; exec \"$@\"",
            "sh"};
  }
  static bool can_be() { return run({"unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"}).status == 0; }
  /// The folder as the process sees it.
  [[nodiscard]] std::string seen_by(pid_t process) const {
    return "/proc/" + std::to_string(process) + "/root" + folder_;
  }
  void fill(pid_t process) const {
    std::ofstream file(seen_by(process) + "/filler", std::ios::binary);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void make_room(pid_t process) const { std::filesystem::remove(seen_by(process) + "/filler"); }

 private:
  std::string folder_;
};

TEST(cluster_fault, a_node_whose_disk_is_full_refuses_and_catches_up_when_there_is_room) {
  if (!small_disk::can_be()) GTEST_SKIP() << "no mount namespaces here (unshare -rm)";
  test_cluster cluster({.nodes = 1});
  const small_disk disk(cluster.data("b"));
  cluster.launch_with("b", disk.launcher());
  cluster.start("b");
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  const pid_t b = cluster.of("b").pid();
  disk.fill(b);
  const json refused = cluster.ask_json({"push", cluster.app("two", "two")}, 1);
  EXPECT_EQ(refused["state"], "aborted") << refused;
  EXPECT_NE(refused["reason"].get<std::string>().find("b"), std::string::npos) << refused;
  EXPECT_EQ(cluster.get("a"), "one\n");
  EXPECT_EQ(cluster.get("b"), "one\n");
  // Values fit into what SQLite has taken already, for a while.
  finished value{};
  ASSERT_TRUE(test_cluster::comes_true([&] {
    value = cluster.ask({"config", "set", "large", std::string(4000, 'x')});
    return value.status != 0;
  }));
  EXPECT_EQ(value.status, 3) << value.out << value.err;
  EXPECT_EQ(value.err.rfind("b refused: ", 0), 0u) << value.err;
  disk.make_room(b);
  ASSERT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, 2); }))
      << cluster.ask({"nodes"}).out << cluster.of("b").err();
  EXPECT_EQ(cluster.ask({"push", cluster.app("three", "three")}).status, 0);
  for (const std::string name : {"a", "b"}) EXPECT_EQ(cluster.get(name), "three\n");
}

TEST(cluster_fault, a_controller_whose_disk_is_full_refuses_changes_and_goes_on_when_there_is_room) {
  if (!small_disk::can_be()) GTEST_SKIP() << "no mount namespaces here (unshare -rm)";
  test_cluster cluster({.nodes = 0});
  const small_disk disk(cluster.data("a"));
  cluster.launch_with("a", disk.launcher());
  cluster.start("a");
  cluster.start("b");
  const auto level = [&] { return are_level(cluster, 2, "b"); };
  ASSERT_TRUE(test_cluster::comes_true(level)) << cluster.of("b").err();
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}, "b").status, 0);
  const pid_t a = cluster.of("a").pid();
  disk.fill(a);
  // Values fit into what SQLite has taken already, for a while.
  finished refused{};
  ASSERT_TRUE(test_cluster::comes_true([&] {
    refused = cluster.ask({"config", "set", "large", std::string(4000, 'x')}, "b");
    return refused.status != 0;
  }));
  EXPECT_EQ(refused.status, 1) << refused.out << refused.err;
  EXPECT_NE(refused.err.find("make room"), std::string::npos) << refused.err;
  EXPECT_EQ(cluster.ask({"push", cluster.app("two", "two")}, "b").status, 1);
  EXPECT_EQ(cluster.get("b"), "one\n");
  disk.make_room(a);
  EXPECT_EQ(cluster.ask({"push", cluster.app("three", "three")}, "b").status, 0);
  EXPECT_TRUE(test_cluster::comes_true(level));
  EXPECT_EQ(cluster.get("b"), "three\n");
}

}  // namespace
}  // namespace troupe::tests
