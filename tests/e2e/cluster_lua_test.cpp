// SPDX-License-Identifier: Apache-2.0
//
// troupe.cluster of Lua in an app: who is told of other nodes, and an app that pushes one.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/test_client.hpp"
#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

bool has(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

void wait_for(const test_cluster& cluster, std::size_t live) {
  ASSERT_TRUE(test_cluster::comes_true([&] { return cluster.is_level(live); }))
      << cluster.ask({"nodes"}).out;
}

/// Its `/told` has a line for each call: `a+1 b-1`, names with what is live and which release runs.
constexpr const char* told_of_nodes = R"(
  lua_shared_dict told 1m;
  init_worker_by_lua_block {
    assert(troupe.cluster.on_change(function(nodes)
      local words = {}
      for i, node in ipairs(nodes) do
        words[i] = node.name .. (node.live and "+" or "-") .. (node.releases.default or 0)
      end
      ngx.shared.told:rpush("lists", table.concat(words, " "))
    end))
  }
  server { listen 8080;
    location = /told { content_by_lua_block {
      local told = ngx.shared.told
      for _ = 1, told:llen("lists") do
        local list = told:lpop("lists")
        ngx.say(list)
        told:rpush("lists", list)
      end } }
    location / { return 200 told; } })";

TEST(cluster_lua, an_app_is_told_when_a_node_comes_runs_another_release_and_goes) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app_with("told", told_of_nodes)}).status, 0);
  const auto is_told = [&](const std::string& list) {
    return test_cluster::comes_true(
        [&] { return has('\n' + cluster.get("b", "/told"), '\n' + list + '\n'); });
  };
  EXPECT_TRUE(is_told("a+1 b+1")) << cluster.get("b", "/told");
  cluster.start("c");
  EXPECT_TRUE(is_told("a+1 b+1 c+1")) << cluster.get("b", "/told");
  EXPECT_EQ(cluster.stop("c", SIGKILL), 128 + SIGKILL);
  EXPECT_TRUE(is_told("a+1 b+1 c-1")) << cluster.get("b", "/told");
  // Another app's release is no news of this one, but news.
  ASSERT_EQ(cluster.ask({"push", cluster.app("shop", "shop"), "--app", "shop"}).status, 0);
  // And the release after it is told anew.
  ASSERT_EQ(cluster.ask({"push", cluster.app_with("told", std::string(told_of_nodes) + "# again")})
                .status,
            0);
  EXPECT_TRUE(is_told("a+2 b+2 c-1")) << cluster.get("b", "/told");
  EXPECT_EQ(cluster.stop("b"), 0);
  EXPECT_FALSE(has(cluster.of("b").err(), "[error]")) << cluster.of("b").err();
}

/// Its `/push?path=…` pushes that folder and says how it went.
constexpr const char* pushes = R"(
  server { listen 8080;
    location = /push { content_by_lua_block {
      local arg = ngx.req.get_uri_args()
      local how, err, all = troupe.cluster.push{ path = arg.path, app = arg.app, message = arg.message,
                                                 to = arg.to, expect = arg.expect,
                                                 require = arg.require }
      if not how then
        ngx.say("refused: ", err)
        ngx.say(all and all.state or "", " ", all and all.error or "")
        return
      end
      ngx.say(how.state, " ", how.release)
      for _, node in ipairs(how.nodes) do ngx.say(node.name, " ", node.state) end } }
    location = /wrong { content_by_lua_block {
      ngx.say(pcall(troupe.cluster.push))
      ngx.say(pcall(troupe.cluster.push, {})) } }
    location / { return 200 pushes; } })";

TEST(cluster_lua, an_app_pushes_a_folder_and_hears_how_each_node_did) {
  test_cluster cluster({.nodes = 2, .flags = {{"b", {"--label", "zone=eu"}}}});
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app_with("pushes", pushes)}).status, 0);
  test_client client(cluster.listeners("b").at(0));
  const auto push = [&](const std::string& path, const std::string& more) {
    return client.get("/push?path=" + path + more).body;
  };
  EXPECT_EQ(push(cluster.app("shop", "shop"), "&app=shop&message=by+Lua"),
            "active 1\na active\nb active\n");
  const json shop = cluster.ask_json({"releases", "--app", "shop"});
  ASSERT_EQ(shop.size(), 1u);
  EXPECT_EQ(shop[0]["message"], "by Lua");
  EXPECT_EQ(shop[0]["author"], "node b") << shop;
  const auto all = cluster.listeners("a");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(test_client(all[1]).get("/").body, "shop\n");
  EXPECT_EQ(push(cluster.app("eu", "eu"), "&app=eu&to=zone%3Deu"), "active 1\nb active\n");

  // What is refused is nil, the reason and the table.
  const std::string bad = push(cluster.app_with("bad", "sever {}"), "&app=shop");
  EXPECT_TRUE(has(bad, "refused: ") && has(bad, "sever") && has(bad, "aborted check_failed"))
      << bad;
  const std::string second = push(cluster.app("two", "two"), "&app=shop&expect=7");
  EXPECT_TRUE(has(second, "refused: release 1 is active, not 7") && has(second, "overtaken"))
      << second;
  const std::string none = push("/does/not/exist", "");
  EXPECT_TRUE(has(none, "refused: /does/not/exist: no such file or folder\n check_failed")) << none;
  const std::string wrong = client.get("/wrong").body;
  EXPECT_TRUE(has(wrong, "bad argument #1 to 'push' (table expected, got ")) << wrong;
  EXPECT_TRUE(has(wrong, "bad argument #1 to 'push' (a field `path` expected)")) << wrong;

  // The release that asks is told that another has taken its place.
  EXPECT_EQ(push(cluster.app("one", "one"), ""), "active 2\na active\nb active\n");
  for (const std::string name : {"a", "b"}) {
    EXPECT_EQ(test_client(cluster.listeners(name)[0]).get("/").body, "one\n") << name;
  }
}

TEST(cluster_lua, an_app_may_not_push_where_the_operators_keys_are_not) {
  test_cluster cluster({.nodes = 1});
  wait_for(cluster, 1);
  ASSERT_EQ(cluster.ask({"push", cluster.app_with("pushes", pushes)}).status, 0);
  std::string token = cluster.ask({"keys", "token"}).out;
  token.pop_back();
  process b({binary_under_test(), "node", "--name", "b", "--data", cluster.data("b"), "--keys",
             cluster.data("none"), "--port", "0", "--shards", "1", "--join", cluster.address(),
             "--token", token});
  ASSERT_TRUE(b.wait_for([](const std::string& out, const std::string&) {
    return has(out, "listening on ");
  })) << b.err();
  const std::string out = b.out();
  const std::size_t at = out.find("listening on ") + 13;
  test_client client(endpoint::of(out.substr(at, out.find_first_of(" \n", at) - at)));
  const std::string said = client.get("/push?path=" + cluster.app("one", "one")).body;
  EXPECT_TRUE(has(said, "refused: ") && has(said, "not signed")) << said;
  EXPECT_EQ(client.get("/").body, "pushes");
  EXPECT_EQ(cluster.get("a"), "pushes");
  EXPECT_EQ(cluster.ask_json({"releases"}).size(), 1u);
}

TEST(cluster_lua, on_a_node_alone_there_is_no_cluster) {
  test_node node({.conf = R"(
    server { listen 8080; location / { content_by_lua_block {
      ngx.say(select(2, troupe.cluster.on_change(function() end)))
      ngx.say(select(2, troupe.cluster.push{ path = "/tmp" }))
      ngx.say(select(2, troupe.cluster.subscribe("t", function() end)))
      ngx.say(select(2, troupe.cluster.publish("t", "m")))
      ngx.say(select(2, troupe.cluster.self())) } } })"});
  EXPECT_EQ(test_client(node).get("/").body,
            "no cluster\nno cluster\nno cluster\nno cluster\nno cluster\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

}  // namespace
}  // namespace troupe::tests
