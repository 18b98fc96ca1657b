// SPDX-License-Identifier: Apache-2.0
//
// ngx.process: what the process is called, and its end by its own code.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/test_client.hpp"
#include "tests/support/test_connection.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

constexpr const char* names = R"(
    init_by_lua_block { process = require "ngx.process" in_init = process.type() }
    init_worker_by_lua_block { in_worker = process.type() }
    server { listen @port@; location = / { content_by_lua_block {
      ngx.print(in_init, " ", in_worker, " ", process.type(), " ",
                tostring(process.get_master_pid() == ngx.worker.pid())) } } })";

}  // namespace

TEST(process, is_named_after_nginxs_processes) {
  test_node with_master({.conf = names});
  EXPECT_EQ(test_client(with_master).get("/").body, "master worker worker true");
  EXPECT_EQ(with_master.stop(), 0);
  test_node single({.conf = names, .main = "master_process off;"});
  EXPECT_EQ(test_client(single).get("/").body, "single single single true");
  EXPECT_EQ(single.stop(), 0);
}

TEST(process, has_no_privileged_agent) {
  test_node node({.conf = R"(
      init_by_lua_block {
        enable = require("ngx.process").enable_privileged_agent
        texts = {}
        for i, connections in ipairs({ 10, -1, "10" }) do
          local ok, err = enable(connections)
          texts[i] = tostring(ok) .. " " .. err
        end
      }
      server { listen @port@; location = / { content_by_lua_block {
        local ok, err = enable()
        texts[4] = tostring(ok) .. " " .. err
        ngx.print(table.concat(texts, "\n")) } } })"});
  EXPECT_EQ(test_client(node).get("/").body,
            "nil there is no privileged agent: all shards have the rights of the process\n"
            "nil bad 'connections' argument: number expected and greater than 0\n"
            "nil bad 'connections' argument: number expected and greater than 0\n"
            "nil API disabled in the current context");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

// The request that asks for it, and the one under way, are answered; then all shards leave.
TEST(process, leaves_gracefully_when_its_code_asks) {
  test_node node({.shards = 2, .conf = R"(
      exit_worker_by_lua_block { ngx.log(ngx.WARN, "left") }
      server { listen @port@;
        location = / { content_by_lua_block {
          require("ngx.process").signal_graceful_exit()
          ngx.sleep(0.01)
          ngx.print("exiting ", tostring(ngx.worker.exiting())) } } })"});
  EXPECT_EQ(test_client(node).get("/").body, "exiting true");
  EXPECT_EQ(node.wait(), 0);
  const auto lines = node.log_lines(level::warn);
  EXPECT_EQ(lines.size(), 2U) << "one a shard";
  EXPECT_TRUE(node.logs("gracefully shutting down, as ngx.process asks"));
}

// Without it the stop would wait for these requests, a minute.
TEST(process, closes_what_is_open_when_worker_shutdown_timeout_is_over) {
  test_node node({.shards = 2, .conf = R"(
      server { listen @port@; location = / { content_by_lua_block {
          ngx.print("begun") ngx.flush(true) ngx.sleep(60) ngx.print("ended") } } })",
                  .main = "worker_shutdown_timeout 100ms;"});
  test_connection waiting(node.listener());
  waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  waiting.read_until("begun");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(waiting.read_rest().find("ended"), std::string::npos);
}

}  // namespace troupe::tests
