// SPDX-License-Identifier: Apache-2.0
//
// examples/code-from-redis against a real Redis: what is stored is served, and what is stored anew.
#include "tests/support/real_peer.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

std::vector<std::string> server(const std::string& port) {
  return {"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"};
}

/// What redis-cli answers.
std::string cli(const real_peer& store, std::vector<std::string> words) {
  words.insert(words.begin(), {"redis-cli", "-p", std::to_string(store.address().port)});
  return run(words).out;
}

void publish(const real_peer& store, const std::string& path, const std::string& version,
             const std::string& code) {
  cli(store, {"hset", "handler:" + path, "version", version, "code", code});
  cli(store, {"publish", "handlers", path});
}

/// Asks until this is so, as a message takes a moment to arrive.
bool comes_true(const std::function<bool()>& what) {
  for (int i = 0; i < 5000; ++i) {
    if (what()) return true;
  }
  return false;
}

}  // namespace

TEST(code_from_redis, serves_what_is_stored_and_its_successors) {
  auto store = std::make_unique<real_peer>(server);
  const std::string port = std::to_string(store->address().port);
  publish(*store, "/greet", "1", "ngx.say('one ', ngx.var.uri)");
  test_node node({.app = source_folder() / "examples/code-from-redis",
                  .environment = {{"REDIS_PORT", port}}});
  test_client client(node);
  EXPECT_EQ(client.get("/greet").body, "one /greet\n");
  EXPECT_EQ(client.get("/greet").header("X-Handler-Version"), "1");
  EXPECT_EQ(client.get("/absent").status, 404);
  // Once the shard listens, a change reaches it.
  EXPECT_TRUE(comes_true([&] { return cli(*store, {"publish", "handlers", "/nothing"}) == "1\n"; }));
  publish(*store, "/greet", "2", "ngx.sleep(0.001) ngx.say('two')");
  EXPECT_TRUE(comes_true([&] { return client.get("/greet").body == "two\n"; }));
  publish(*store, "/greet", "3", "ngx.say('");
  EXPECT_TRUE(comes_true([&] {
    return client.get("/greet").body == "two\n" &&
           node.log().find("version 3 does not compile") != std::string::npos;
  }));
  EXPECT_EQ(client.get("/greet").body, "two\n");
  store.reset();
  EXPECT_EQ(client.get("/greet").body, "two\n");
  EXPECT_EQ(client.get("/absent").status, 503);
  EXPECT_EQ(node.stop(SIGTERM), 0);
}

TEST(code_from_redis, a_shard_that_never_asked_serves_what_another_one_knows_while_redis_is_down) {
  auto store = std::make_unique<real_peer>(server);
  const std::string port = std::to_string(store->address().port);
  publish(*store, "/greet", "1", "ngx.say('one')");
  test_node node({.shards = 4,
                  .app = source_folder() / "examples/code-from-redis",
                  .environment = {{"REDIS_PORT", port}}});
  EXPECT_EQ(test_client(node).get("/greet").body, "one\n");
  store.reset();
  // Each connection is given to one of the shards by the kernel.
  for (int i = 0; i < 40; ++i) EXPECT_EQ(test_client(node).get("/greet").body, "one\n");
  EXPECT_EQ(node.stop(SIGTERM), 0);
}

}  // namespace troupe::tests
