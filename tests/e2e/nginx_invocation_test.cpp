// SPDX-License-Identifier: Apache-2.0
//
// The binary under nginx's own command line and signals, as tools made for nginx drive it.
#include "tests/support/free_port.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace troupe::tests {
namespace {

constexpr const char* ok_server = "server { listen @port@; location / { return 200 'ok'; } }";

std::vector<std::string> nginx_words(const std::filesystem::path& folder,
                                     std::vector<std::string> more) {
  more.insert(more.begin(), {"-p", folder.string() + "/", "-c", "nginx.conf"});
  return more;
}

TEST(nginx_invocation, it_returns_when_it_listens_and_takes_its_pid_file_along) {
  for (const int number : {SIGTERM, SIGQUIT}) {
    test_node node({.conf = ok_server, .as_nginx = true});
    EXPECT_EQ(test_client(node).get("/").body, "ok");
    node.stop(number);
    EXPECT_FALSE(std::filesystem::exists(node.folder() / "logs/nginx.pid"));
    EXPECT_EQ(node.log_lines(level::warn), no_lines);
  }
}

TEST(nginx_invocation, signals_are_sent_by_dash_s) {
  test_node node({.conf = ok_server, .as_nginx = true});
  EXPECT_EQ(run_troupe(nginx_words(node.folder(), {"-s", "reload"})).status, 0);
  EXPECT_TRUE(node.logs("signal 1 (SIGHUP) received from"));
  EXPECT_EQ(test_client(node).get("/").body, "ok");
  EXPECT_EQ(run_troupe(nginx_words(node.folder(), {"-s", "quit"})).status, 0);
  node.wait();
  auto nobody = run_troupe(nginx_words(node.folder(), {"-s", "quit"}));
  EXPECT_EQ(nobody.status, 1);
  EXPECT_NE(nobody.err.find("open() \"" + (node.folder() / "logs/nginx.pid").string() +
                            "\" failed (2: No such file or directory)"),
            std::string::npos)
      << nobody.err;
}

TEST(nginx_invocation, usr1_opens_the_error_log_again) {
  test_node node({.conf = ok_server, .as_nginx = true});
  const auto log = node.folder() / "logs/error.log";
  std::filesystem::rename(log, node.folder() / "logs/error.log.1");
  node.signal(SIGUSR1);
  while (!std::filesystem::exists(log)) std::this_thread::yield();
  node.signal(SIGHUP);
  EXPECT_TRUE(node.logs("signal 1 (SIGHUP) received from"));
  node.stop();
}

TEST(nginx_invocation, a_bad_configuration_starts_nothing_and_says_so_twice) {
  test_node node({.conf = "sever { }", .as_nginx = true, .starts = false});
  EXPECT_NE(node.wait(), 0);
  const std::string reason =
      "[emerg] unknown directive \"sever\" in " + (node.folder() / "nginx.conf").string() + ":";
  const auto lines = node.log_lines(level::emerg);
  EXPECT_GE(lines.size(), 2u) << node.log();  // in the log of -e, and on stderr
  EXPECT_NE(node.log().find("nginx: " + reason), std::string::npos) << node.log();
  EXPECT_NE(read_file(node.folder() / "logs/error.log").find("unknown directive"),
            std::string::npos);
}

TEST(nginx_invocation, a_reload_that_fails_leaves_the_old_configuration_serving) {
  test_node node({.conf = ok_server, .as_nginx = true});
  write_file(node.folder() / "nginx.conf", "events {} http { sever { } }");
  node.signal(SIGHUP);
  EXPECT_TRUE(node.logs("[emerg]"));
  EXPECT_TRUE(node.logs("unknown directive \"sever\" in"));
  EXPECT_EQ(test_client(node).get("/").body, "ok");
  node.stop();
}

TEST(nginx_invocation, a_second_one_on_the_port_leaves_the_first_s_pid_file_alone) {
  test_node node({.conf = ok_server, .as_nginx = true});
  const std::string pid = read_file(node.folder() / "logs/nginx.pid");
  auto second = run_troupe(nginx_words(node.folder(), {}));
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.err.find("failed (98: Address already in use)"), std::string::npos)
      << second.err;
  EXPECT_EQ(read_file(node.folder() / "logs/nginx.pid"), pid);
  EXPECT_EQ(test_client(node).get("/").body, "ok");
  node.stop();
}

TEST(nginx_invocation, a_test_says_nginx_s_words_and_serves_nothing) {
  temp_dir folder;
  free_port port;
  const std::string conf = folder.write(
      "nginx.conf", "error_log stderr;\npid logs/nginx.pid;\nevents {}\nhttp { server { listen " +
                        std::to_string(port.number()) + "; } }\n");
  auto good = run_troupe(nginx_words(folder.path(), {"-t"}));
  EXPECT_EQ(good.status, 0);
  EXPECT_EQ(good.err, "nginx: the configuration file " + conf +
                          " syntax is ok\nnginx: configuration file " + conf +
                          " test is successful\n");
  EXPECT_EQ(run_troupe(nginx_words(folder.path(), {"-t", "-q"})).err, "");
  auto dump = run_troupe(nginx_words(folder.path(), {"-T", "-q"}));
  EXPECT_TRUE(dump.out.starts_with("# configuration file " + conf + ":\nerror_log stderr;\n"))
      << dump.out;

  folder.write("nginx.conf", "events {}\nhttp { sever; }\n");
  auto bad = run_troupe(nginx_words(folder.path(), {"-t"}));
  EXPECT_EQ(bad.status, 1);
  EXPECT_NE(bad.err.find("[emerg] "), std::string::npos);
  EXPECT_NE(bad.err.find("unknown directive \"sever\" in " + conf + ":2\n"), std::string::npos);
  EXPECT_NE(bad.err.find("nginx: configuration file " + conf + " test failed\n"), std::string::npos)
      << bad.err;
}

TEST(nginx_invocation, directives_of_dash_g_are_of_the_main_context) {
  temp_dir folder;
  folder.write("nginx.conf", "events {}\nhttp { }\n");
  EXPECT_EQ(run_troupe(nginx_words(folder.path(), {"-t", "-g", "daemon off;"})).status, 0);
  auto bad = run_troupe(nginx_words(folder.path(), {"-t", "-g", "deamon off;"}));
  EXPECT_EQ(bad.status, 1);
  EXPECT_NE(bad.err.find("unknown directive \"deamon\" in command line"), std::string::npos)
      << bad.err;
}

TEST(nginx_invocation, the_version_is_found_by_the_tools_regexes) {
  auto version = run_troupe({"-V"});
  EXPECT_EQ(version.status, 0);
  EXPECT_TRUE(version.err.starts_with("nginx version: troupe/1.22.1\n"));
}

}  // namespace
}  // namespace troupe::tests
