// SPDX-License-Identifier: Apache-2.0
//
// Config values: set from outside, read by Lua and nginx.conf, watched by both sides.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/troupe_command.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

constexpr const char* reader = R"(
    server { listen 8080;
      location = /get { content_by_lua_block {
        local value = troupe.config.get(ngx.var.arg_key)
        ngx.say(type(value), " ", type(value) == "table" and value.a[2] or tostring(value)) } }
      location = /var { return 200 "rate=$config_limits_rate;"; } })";

TEST(config, values_have_types_in_lua_and_are_text_in_the_conf) {
  test_node node({.conf = reader});
  test_client client(node);
  auto seen = [&](const std::string& key) { return client.get("/get?key=" + key).body; };
  EXPECT_EQ(seen("limits.rate"), "nil nil\n");
  EXPECT_EQ(client.get("/var").body, "rate=;");
  EXPECT_EQ(ask(node, {"config", "set", "limits.rate", "500"}).status, 0);
  EXPECT_EQ(seen("limits.rate"), "number 500\n");
  EXPECT_EQ(client.get("/var").body, "rate=500;");
  EXPECT_EQ(ask(node, {"config", "set", "limits.rate", "1.5e3"}).status, 0);
  EXPECT_EQ(seen("limits.rate"), "number 1500\n");
  ask(node, {"config", "set", "on", "true"});
  EXPECT_EQ(seen("on"), "boolean true\n");
  ask(node, {"config", "set", "table", R"({"a":[1,"two"]})"});
  EXPECT_EQ(seen("table"), "table two\n");
  ask(node, {"config", "set", "word", "hello there"});
  EXPECT_EQ(seen("word"), "string hello there\n");
  ask(node, {"config", "set", "word", "7", "--type", "string"});
  EXPECT_EQ(seen("word"), "string 7\n");
  EXPECT_EQ(ask(node, {"config", "get", "word"}).out, "7\n");
  EXPECT_EQ(ask(node, {"config", "unset", "word"}).status, 0);
  EXPECT_EQ(seen("word"), "nil nil\n");
  EXPECT_EQ(ask(node, {"config", "get", "word"}).status, 1);
  EXPECT_EQ(ask(node, {"config", "unset", "word"}).status, 1);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(config, bad_values_and_words_are_refused) {
  test_node node({.conf = reader});
  const finished no_number = ask(node, {"config", "set", "a", "x", "--type", "number"});
  EXPECT_EQ(no_number.status, 1);
  EXPECT_NE(no_number.err.find("\"x\" is no number"), std::string::npos) << no_number.err;
  EXPECT_EQ(ask(node, {"config", "set", "a", "1", "--type", "colour"}).status, 1);
  EXPECT_EQ(ask(node, {"config", "set", "a"}).status, 2);
  EXPECT_EQ(ask(node, {"config", "get"}).status, 2);
  const finished unknown = ask(node, {"config", "gett", "a"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_NE(unknown.err.find("did you mean `troupe config get`?"), std::string::npos);
  EXPECT_EQ(ask(node, {"config", "set", std::string(300, 'k'), "1"}).status, 2);
  EXPECT_EQ(ask(node, {"config", "set", "empty", ""}).status, 0);
  EXPECT_EQ(ask(node, {"config", "get", "empty"}).out, "\n");
  EXPECT_EQ(node.stop(), 0);
}

TEST(config, set_gives_values_for_the_start_and_the_disk_keeps_those_set_later) {
  test_node node({.conf = reader, .flags = {"--set", "limits.rate=9", "--set", "word=x"}});
  EXPECT_EQ(test_client(node).get("/var").body, "rate=9;");
  ask(node, {"config", "set", "kept", "1"});
  const json all = json::parse(ask(node, {"config", "list", "--json"}).out);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0]["key"], "kept");
  EXPECT_EQ(all[0]["value"], 1);
  EXPECT_EQ(all[0]["type"], "number");
  EXPECT_NE(all[0]["author"], nullptr);
  EXPECT_EQ(all[1]["author"], nullptr);
  EXPECT_EQ(node.stop(), 0);
  test_node_options again{.conf = reader};
  const finished listed = run_troupe({"config", "list", "--data", node.data().string()});
  EXPECT_EQ(listed.status, 4);
}

TEST(config, the_change_after_an_unset_of_what_set_gave_is_seen) {
  test_node node({.shards = 1, .conf = R"(server { listen 8080;
    location / { content_by_lua_block { ngx.print(troupe.config.get("b")) } } })",
                  .flags = {"--set", "a=1"}});
  ask(node, {"config", "unset", "a"});
  EXPECT_EQ(test_client(node).get("/").body, "nil");
  ask(node, {"config", "set", "b", "2"});
  EXPECT_EQ(test_client(node).get("/").body, "2");
  EXPECT_EQ(node.stop(), 0);
}

TEST(config, each_change_stays_in_the_history) {
  test_node node({.conf = reader});
  for (const char* value : {"1", "two", "{\"a\":3}"}) ask(node, {"config", "set", "k", value});
  ask(node, {"config", "set", "other", "true"});
  EXPECT_EQ(ask(node, {"config", "unset", "k"}).status, 0);
  const json all = json::parse(ask(node, {"config", "history", "--json"}).out);
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[0]["version"], 5);
  EXPECT_EQ(all[1]["key"], "other");
  const json one = json::parse(ask(node, {"config", "history", "k", "--json"}).out);
  ASSERT_EQ(one.size(), 4U);
  EXPECT_TRUE(one[0]["value"].is_null());
  EXPECT_EQ(one[1]["value"], json({{"a", 3}}));
  EXPECT_EQ(one[2]["value"], "two");
  EXPECT_EQ(one[3]["value"], 1);
  EXPECT_EQ(one[3]["type"], "number");
  EXPECT_FALSE(one[3]["author"].get<std::string>().empty());
  const std::string text = ask(node, {"config", "history", "k"}).out;
  EXPECT_NE(text.find("unset"), std::string::npos) << text;
  EXPECT_EQ(node.stop(), 0);
}

TEST(config, a_key_with_slashes_and_dots_is_that_key) {
  test_node node({.conf = reader});
  EXPECT_EQ(ask(node, {"config", "set", "a/b", "1"}).status, 0);
  EXPECT_EQ(ask(node, {"config", "set", "a//b", "2"}).status, 0);
  EXPECT_EQ(ask(node, {"config", "set", "x/../a/b", "3"}).status, 0);
  EXPECT_EQ(ask(node, {"config", "get", "a/b"}).out, "1\n");
  EXPECT_EQ(ask(node, {"config", "get", "a//b"}).out, "2\n");
  EXPECT_EQ(node.stop(), 0);
}

TEST(config, watchers_in_lua_are_told_of_what_changed_below_their_prefix) {
  test_node node({.shards = 2, .conf = R"(
    lua_shared_dict told 1m;
    init_worker_by_lua_block {
      if ngx.worker.id() ~= 0 then return end
      assert(troupe.config.watch("a.", function(key, value)
        ngx.log(ngx.NOTICE, "changed: ", key, " = ", value)
        if value == "bad" then error("oops") end
      end)) }
    server { listen 8080; location / { return 200 "ok"; } })"});
  ask(node, {"config", "set", "a.b", "1"});
  EXPECT_TRUE(node.logs("changed: a.b = 1"));
  ask(node, {"config", "set", "c", "2"});
  ask(node, {"config", "set", "a.b", "bad"});
  EXPECT_TRUE(node.logs("troupe.config.watch(\"a.\"): "));
  ask(node, {"config", "unset", "a.b"});
  EXPECT_TRUE(node.logs("changed: a.b = nil"));
  EXPECT_EQ(node.log().find("changed: c"), std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(config, a_release_that_retires_ends_its_watchers_and_the_next_one_has_its_own) {
  test_node node({.conf = R"(
    init_worker_by_lua_block {
      troupe.config.watch("", function(key) ngx.log(ngx.NOTICE, "first saw ", key) end) }
    server { listen 8080; location / { return 200 "ok"; } })"});
  node.edit_conf(R"(
    init_worker_by_lua_block {
      troupe.config.watch("", function(key) ngx.log(ngx.NOTICE, "second saw ", key) end) }
    server { listen 8080; location / { return 200 "ok"; } })");
  EXPECT_EQ(ask(node, {"apply", node.folder().string()}).status, 0);
  ask(node, {"config", "set", "x", "1"});
  EXPECT_TRUE(node.logs("second saw x"));
  EXPECT_EQ(node.log().find("first saw"), std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(config, watch_prints_each_change) {
  test_node node({.conf = reader});
  process watching({binary_under_test(), "config", "watch", "a", "--json", "--data",
                    node.data().string()});
  // Until it watches, changes may go by: set until one is seen.
  int value = 0;
  while (!watching.wait_for([](const std::string& out, const std::string&) { return !out.empty(); },
                            std::chrono::milliseconds(50))) {
    ask(node, {"config", "set", "a", std::to_string(++value)});
  }
  ask(node, {"config", "unset", "a"});
  EXPECT_TRUE(watching.wait_for([](const std::string& out, const std::string&) {
    return out.find(R"({"key":"a","value":null)") != std::string::npos;
  }));
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(watching.wait(), 0);
}

}  // namespace
}  // namespace troupe::tests
