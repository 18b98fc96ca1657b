// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace troupe::tests {
namespace {

// A program that does with a node's command line what `body` says, in shell.
std::filesystem::path pretender(const temp_dir& folder, std::string_view body) {
  const auto file = folder.write("pretender", "#!/bin/bash\n" + std::string(body));
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  return file;
}

constexpr std::string_view well_behaved = R"sh(
trap 'echo "2026/01/02 03:04:05 [notice] 7#1: bye" >> logs/error.log; exit 0' QUIT
echo "listening on http://127.0.0.1:4321"
echo "listening on http://[::1]:4322"
cat >> logs/error.log <<'LOG'
2026/01/02 03:04:05 [error] 7#1: *1 attempt to call a nil value
stack traceback:
	in main chunk, client: 127.0.0.1
2026/01/02 03:04:05 [info] 7#1: *1 client closed
2026/01/02 03:04:05 [warn] 7#1: body is buffered
LOG
mkfifo forever; exec 3<>forever; while :; do read -r -u 3; done
)sh";

}  // namespace

TEST(test_node, knows_where_the_node_listens_and_how_it_left) {
  temp_dir folder;
  test_node node({.binary = pretender(folder, well_behaved)});
  EXPECT_EQ(node.port(), 4321);
  EXPECT_EQ(node.listener(1).host, "::1");
  EXPECT_TRUE(node.is_running());
  EXPECT_TRUE(node.logs("body is buffered"));
  EXPECT_EQ(node.stop(), 0);
  EXPECT_FALSE(node.is_running());
}

TEST(test_node, sorts_log_entries_by_level_and_keeps_tracebacks_whole) {
  temp_dir folder;
  test_node node({.binary = pretender(folder, well_behaved)});
  ASSERT_TRUE(node.logs("body is buffered"));
  const std::vector<std::string> expected{
      "[error] *1 attempt to call a nil value\nstack traceback:\n\tin main chunk, client: "
      "127.0.0.1",
      "[warn] body is buffered"};
  EXPECT_EQ(node.log_lines(level::warn), expected);
  EXPECT_EQ(node.log_lines(level::crit), no_lines);
}

TEST(test_node, keeps_the_words_of_a_node_that_refuses) {
  temp_dir folder;
  test_node node({.binary = pretender(folder, "echo 'nginx.conf:3: unexpected \"}\"' >&2; exit 1"),
                  .starts = false});
  EXPECT_EQ(node.wait(), 1);
  EXPECT_EQ(node.log(), "nginx.conf:3: unexpected \"}\"\n");
}

TEST(test_node, writes_the_app_that_it_serves) {
  temp_dir folder;
  test_node node({.shards = 2,
                  .conf = "server { listen @port@; listen @port2@; }",
                  .files = {{"lua/a.lua", "return @port@"}},
                  .binary = pretender(folder, well_behaved)});
  const std::string conf = read_file(node.folder() / "nginx.conf");
  EXPECT_NE(conf.find("worker_processes 2;"), std::string::npos);
  const auto at = conf.find("listen ") + 7;
  const std::string port = conf.substr(at, conf.find(';', at) - at);
  EXPECT_EQ(read_file(node.folder() / "lua/a.lua"), "return " + port);
  EXPECT_EQ(conf.find('@'), std::string::npos);
}

TEST(test_node, starts_in_the_background_as_nginx_does) {
  temp_dir folder;
  test_node node(
      {.conf = "server { listen @port@; }", .as_nginx = true, .binary = pretender(folder, R"sh(
while [ $# -gt 0 ]; do case $1 in -p) prefix=$2 ;; esac; shift; done
cd "$prefix"
mkfifo forever
( trap 'rm -f logs/nginx.pid; exit 5' QUIT
  exec 3<>forever; echo "$BASHPID" > logs/nginx.pid
  while :; do read -r -t 0.1 -u 3; done ) < /dev/null > /dev/null 2>&1 &
exit 0
)sh")});
  EXPECT_NE(node.pid(), -1);
  EXPECT_NE(node.port(), 0);
  EXPECT_TRUE(node.is_running());
  EXPECT_EQ(node.stop(), 5);
}
}  // namespace troupe::tests
