// SPDX-License-Identifier: Apache-2.0
//
// A cluster as an operator meets it: push, nodes, rollback, config, labels, canaries, nodes and
// controllers that go and come back.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>

#include "tests/support/test_client.hpp"
#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

// All nodes are live and level with the controller.
bool are_level(const test_cluster& cluster, std::size_t count, const std::string& by = "a") {
  const finished asked = cluster.ask({"nodes", "--json"}, by);
  const json all = json::parse(asked.out, nullptr, false);
  if (!all.is_array() || all.size() != count) return false;
  for (const json& each : all) {
    if (!each["live"].get<bool>() || each["behind"] != 0) return false;
  }
  return true;
}

void wait_for(const test_cluster& cluster, std::size_t count) {
  ASSERT_TRUE(test_cluster::comes_true([&] { return are_level(cluster, count); }))
      << cluster.ask({"nodes"}).out;
}

json state_of(const json& push, const std::string& node) {
  for (const json& each : push["nodes"]) {
    if (each["name"] == node) return each;
  }
  return {};
}

TEST(cluster, a_push_reaches_all_nodes_and_says_so_for_each) {
  test_cluster cluster;
  wait_for(cluster, 3);
  const json pushed = cluster.ask_json({"push", cluster.app("one", "one"), "-m", "first"}, 0, "b");
  EXPECT_EQ(pushed["release"], 1);
  EXPECT_EQ(pushed["state"], "active");
  EXPECT_TRUE(pushed["digest"].get<std::string>().starts_with("sha256:"));
  ASSERT_EQ(pushed["nodes"].size(), 3u) << pushed;
  for (const std::string name : {"a", "b", "c"}) {
    const json one = state_of(pushed, name);
    EXPECT_EQ(one["state"], "active") << pushed;
    EXPECT_GT(one["prepared_ms"], 0);
    EXPECT_GT(one["active_ms"], 0);
    EXPECT_EQ(one["reason"], nullptr);
    EXPECT_EQ(cluster.get(name), "one\n");
  }
  const finished text = cluster.ask({"push", cluster.app("two", "two")});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_NE(text.out.find("release 2  1 file changed  sha256:"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("3/3"), std::string::npos) << text.out;
  EXPECT_EQ(text.out.find('\033'), std::string::npos);
  for (const std::string name : {"a", "b", "c"}) EXPECT_EQ(cluster.get(name), "two\n");

  const json nodes = cluster.ask_json({"nodes"}, 0, "c");
  ASSERT_EQ(nodes.size(), 3u);
  EXPECT_EQ(nodes[0]["name"], "a");
  EXPECT_EQ(nodes[0]["role"], "controller");
  EXPECT_EQ(nodes[0]["address"], cluster.address());
  EXPECT_EQ(nodes[1]["role"], "node");
  for (const json& each : nodes) EXPECT_TRUE(each["live"].get<bool>()) << each;
  const json releases = cluster.ask_json({"releases"});
  ASSERT_EQ(releases.size(), 2u);
  EXPECT_EQ(releases[0]["release"], 2);
  EXPECT_EQ(releases[0]["parent"], 1);
  EXPECT_EQ(releases[0]["state"], "active");
  EXPECT_EQ(releases[0]["changed"], 1);
  EXPECT_EQ(releases[1]["message"], "first");
  const finished diff = cluster.ask({"diff", "1", "2"});
  EXPECT_NE(diff.out.find("+server { listen 8080; location / { content_by_lua_block { ngx.say('two')"),
            std::string::npos)
      << diff.out << diff.err;
  for (const std::string name : {"c", "b", "a"}) EXPECT_EQ(cluster.stop(name), 0);
}

TEST(cluster, what_one_node_refuses_changes_nothing_anywhere) {
  test_cluster cluster;
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  const json refused = cluster.ask_json({"push", cluster.app_with("bad", "sever { }")}, 1);
  EXPECT_EQ(refused["state"], "aborted");
  EXPECT_EQ(refused["error"], "check_failed");
  EXPECT_NE(refused["reason"].get<std::string>().find("unknown directive \"sever\""), std::string::npos)
      << refused;
  // Only c refuses this one.
  const std::string picky = cluster.app_with(
      "picky",
      "init_by_lua_block { if troupe.cluster.self().name == 'c' then error('not here') end }\n"
      "server { listen 8080; location / { return 200 picky; } }");
  const json aborted = cluster.ask_json({"push", picky}, 1);
  EXPECT_EQ(state_of(aborted, "c")["state"], "refused") << aborted;
  EXPECT_NE(state_of(aborted, "c")["reason"].get<std::string>().find("not here"), std::string::npos);
  // Those that were ready keep what they had.
  EXPECT_EQ(state_of(aborted, "a")["state"], "behind") << aborted;
  EXPECT_EQ(state_of(aborted, "a")["active_ms"], nullptr) << aborted;
  EXPECT_TRUE(test_cluster::comes_true([&] {
    const json releases = cluster.ask_json({"releases"}, 0, "b");
    return releases.size() == 3u && releases[0]["state"] == "aborted" &&
           releases[1]["state"] == "aborted" && releases[2]["state"] == "active";
  })) << cluster.ask({"releases"}, "b").out;
  for (const std::string name : {"a", "b", "c"}) EXPECT_EQ(cluster.get(name), "one\n");
  // Who asks for less gets it.
  const json partial = cluster.ask_json({"push", picky, "--require", "60%"}, 3);
  EXPECT_EQ(partial["state"], "partial");
  EXPECT_EQ(state_of(partial, "a")["state"], "active") << partial;
  EXPECT_EQ(cluster.get("a"), "picky");
  EXPECT_EQ(cluster.get("c"), "one\n");
}

TEST(cluster, expect_tells_who_came_second) {
  test_cluster cluster({.nodes = 1});
  wait_for(cluster, 1);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  EXPECT_EQ(cluster.ask({"push", cluster.app("two", "two"), "--expect", "9"}).status, 5);
  EXPECT_EQ(cluster.ask({"push", cluster.app("two", "two"), "--expect", "1"}).status, 0);
}

TEST(cluster, a_node_that_was_away_catches_up_and_one_that_comes_later_serves) {
  test_cluster cluster;
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  EXPECT_EQ(cluster.stop("b", SIGKILL), 128 + SIGKILL);
  ASSERT_TRUE(test_cluster::comes_true([&] {
    return !cluster.ask_json({"nodes"})[1]["live"].get<bool>();
  }));
  const json pushed = cluster.ask_json({"push", cluster.app("two", "two")});
  EXPECT_EQ(pushed["state"], "active") << pushed;
  cluster.start("b");
  EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get("b") == "two\n"; }));
  cluster.start("d");
  EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get("d") == "two\n"; }));
  wait_for(cluster, 4);
}

TEST(cluster, without_a_controller_all_serve_on_and_restart_from_their_disks) {
  test_cluster cluster;
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  EXPECT_EQ(cluster.stop("a", SIGKILL), 128 + SIGKILL);
  EXPECT_EQ(cluster.get("b"), "one\n");
  EXPECT_EQ(cluster.stop("c"), 0);
  cluster.start("c");
  EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get("c") == "one\n"; }));
  EXPECT_EQ(cluster.ask({"push", cluster.app("two", "two"), "--timeout", "20"}, "b").status, 4);
  const finished nodes = cluster.ask({"nodes"}, "b");
  EXPECT_EQ(nodes.status, 0) << nodes.err;
  EXPECT_NE(nodes.err.find("controller"), std::string::npos) << nodes.err;
  cluster.start("a");
  wait_for(cluster, 3);
  EXPECT_EQ(cluster.get("a"), "one\n");
  EXPECT_EQ(cluster.ask({"push", cluster.app("two", "two")}).status, 0);
  EXPECT_EQ(cluster.get("b"), "two\n");
}

TEST(cluster, rollback_needs_nothing_of_the_pusher_s_disk) {
  test_cluster cluster;
  wait_for(cluster, 3);
  const std::string first = cluster.app("one", "one");
  ASSERT_EQ(cluster.ask({"push", first}).status, 0);
  ASSERT_EQ(cluster.ask({"push", cluster.app("two", "two")}).status, 0);
  std::filesystem::remove_all(first);
  // A node may show for a moment what was.
  ASSERT_TRUE(test_cluster::comes_true([&] {
    const json newest = cluster.ask_json({"releases"}, 0, "c")[0];
    return newest["release"] == 2 && newest["state"] == "active";
  }));
  const json back = cluster.ask_json({"rollback"}, 0, "c");
  EXPECT_EQ(back["release"], 1) << back;
  for (const std::string name : {"a", "b", "c"}) EXPECT_EQ(cluster.get(name), "one\n");
  EXPECT_EQ(cluster.ask({"rollback", "2"}).status, 0);
  EXPECT_EQ(cluster.get("b"), "two\n");
  EXPECT_EQ(cluster.ask({"rollback", "77"}).status, 1);
}

TEST(cluster, a_value_is_seen_by_lua_on_every_node_and_by_some_where_it_has_a_scope) {
  test_cluster cluster({.flags = {{"b", {"--label", "zone=eu"}}}});
  wait_for(cluster, 3);
  const std::string reader = cluster.app_with(
      "reader", "server { listen 8080; location / { content_by_lua_block { "
                "ngx.say(tostring(troupe.config.get('limits.rate'))) } } }");
  ASSERT_EQ(cluster.ask({"push", reader}).status, 0);
  EXPECT_EQ(cluster.get("b"), "nil\n");
  ASSERT_EQ(cluster.ask({"config", "set", "limits.rate", "500"}, "c").status, 0);
  for (const std::string name : {"a", "b", "c"}) EXPECT_EQ(cluster.get(name), "500\n");
  EXPECT_TRUE(test_cluster::comes_true(
      [&] { return cluster.ask({"config", "get", "limits.rate"}).out == "500\n"; }));
  ASSERT_EQ(cluster.ask({"config", "set", "limits.rate", "9", "--to", "zone=eu"}).status, 0);
  EXPECT_EQ(cluster.get("a"), "500\n");
  EXPECT_EQ(cluster.get("b"), "9\n");
  EXPECT_TRUE(test_cluster::comes_true(
      [&] { return cluster.ask_json({"config", "list"}).size() == 2u; }));
  ASSERT_EQ(cluster.ask({"config", "unset", "limits.rate"}).status, 0);
  EXPECT_EQ(cluster.get("a"), "nil\n");
  EXPECT_EQ(cluster.ask({"config", "set", "x", "y", "--type", "number"}).status, 1);
  // What is left is seen by b alone, and a says so.
  const auto get = [&](const std::string& by) { return cluster.ask({"config", "get", "limits.rate"}, by); };
  EXPECT_TRUE(test_cluster::comes_true([&] { return get("b").out == "9\n" && get("a").status == 1; }));
  EXPECT_NE(get("a").err.find("for node a: it is set for zone=eu"), std::string::npos) << get("a").err;
  EXPECT_EQ(get("a").out, "");
  EXPECT_EQ(cluster.ask_json({"config", "get", "limits.rate"}, 1)["error"], "unknown_key");
  // It is unset with its scope, on any node.
  const finished unscoped = cluster.ask({"config", "unset", "limits.rate"});
  EXPECT_EQ(unscoped.status, 1);
  EXPECT_NE(unscoped.err.find("zone=eu"), std::string::npos) << unscoped.err;
  EXPECT_EQ(cluster.ask({"config", "unset", "limits.rate", "--to", "zone=eu"}).status, 0);
  EXPECT_TRUE(test_cluster::comes_true([&] { return get("b").status == 1; }));
}

TEST(cluster, a_value_of_a_node_s_own_is_what_it_sees) {
  test_cluster cluster({.nodes = 2, .flags = {{"b", {"--set", "word=own"}}}});
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"config", "set", "word", "all"}).status, 0);
  EXPECT_EQ(cluster.ask({"config", "get", "word"}, "b").out, "own\n");
  EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.ask({"config", "get", "word"}).out == "all\n"; }));
}

TEST(cluster, what_matches_no_node_is_said) {
  test_cluster cluster({.nodes = 1});
  wait_for(cluster, 1);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"push", cluster.app("one", "one"), "--to", "zone=mars"},
        std::vector<std::string>{"config", "set", "x", "1", "--to", "zone=mars"}}) {
    const finished done = cluster.ask(words);
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_NE(done.err.find("no node matches zone=mars now"), std::string::npos) << done.err;
  }
  EXPECT_EQ(cluster.ask({"config", "set", "x", "1"}).err, "");
}

TEST(cluster, a_fault_in_lua_is_named_as_the_app_has_its_file) {
  test_cluster cluster({.nodes = 1});
  wait_for(cluster, 1);
  const std::string app = cluster.app_with(
      "faulty", "lua_package_path \"$prefix/lua/?.lua;;\";\ninit_by_lua_block { require 'greeting' }\n"
                "server { listen 8080; location / { return 200 x; } }");
  std::filesystem::create_directories(app + "/lua");
  std::ofstream(app + "/lua/greeting.lua") << "local a = 1\nlocal = 2\n";
  const json refused = cluster.ask_json({"push", app}, 1);
  EXPECT_EQ(refused["error"], "check_failed") << refused;
  const std::string reason = refused["reason"].get<std::string>();
  EXPECT_NE(reason.find("lua/greeting.lua:2:"), std::string::npos) << reason;
  EXPECT_EQ(reason.find("/lua/greeting.lua"), std::string::npos) << reason;
  EXPECT_EQ(refused["file"], "lua/greeting.lua") << refused;
  EXPECT_EQ(refused["line"], 2) << refused;
}

TEST(cluster, labels_choose_who_gets_a_push) {
  test_cluster cluster({.flags = {{"b", {"--label", "zone=eu"}}}});
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  const json some = cluster.ask_json({"push", cluster.app("two", "two"), "--to", "zone=eu"});
  EXPECT_EQ(some["nodes"].size(), 1u) << some;
  EXPECT_EQ(cluster.get("b"), "two\n");
  EXPECT_EQ(cluster.get("a"), "one\n");
  // To go back without a word would take all of them to what none of them had before.
  const finished back = cluster.ask({"rollback"});
  EXPECT_EQ(back.status, 1) << back.out;
  EXPECT_NE(back.err.find("several releases of default are active (1 on all others, 2 on zone=eu)"),
            std::string::npos)
      << back.err;
  ASSERT_EQ(cluster.ask({"push", cluster.app("three", "three")}).status, 0);
  for (const std::string name : {"a", "b", "c"}) EXPECT_EQ(cluster.get(name), "three\n");
}

TEST(cluster, apps_have_releases_and_listeners_of_their_own) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  const json shop = cluster.ask_json({"push", cluster.app("shop", "shop"), "--app", "shop"});
  EXPECT_EQ(shop["release"], 1);
  const auto all = cluster.listeners("b");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(test_client(all[0]).get("/").body, "one\n");
  EXPECT_EQ(test_client(all[1]).get("/").body, "shop\n");
  EXPECT_EQ(cluster.ask({"push", cluster.app_with("bad", "sever {}"), "--app", "shop"}).status, 1);
  EXPECT_EQ(test_client(all[1]).get("/").body, "shop\n");
  EXPECT_TRUE(test_cluster::comes_true([&] {
    return cluster.ask_json({"releases", "--app", "shop"})[0]["state"] == "aborted";
  }));
}

TEST(cluster, a_canary_with_errors_goes_back) {
  test_cluster cluster;
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  // Each node asks itself twenty times a second, which fails.
  const std::string failing = cluster.app_with(
      "failing",
      "init_worker_by_lua_block { ngx.timer.every(0.05, function() "
      "local s = ngx.socket.tcp() local port = ngx.shared.ports:get('port') "
      "if port and s:connect('127.0.0.1', port) then "
      "s:send('GET / HTTP/1.0\\r\\n\\r\\n') s:receive('*a') s:close() end end) }\n"
      "lua_shared_dict ports 1m;\n"
      "server { listen 8080; location / { content_by_lua_block { "
      "ngx.shared.ports:set('port', ngx.var.server_port) ngx.exit(500) } } }");
  std::atomic<bool> ends = false;
  std::thread traffic([&] {
    while (!ends) {
      for (const std::string name : {"a", "b", "c"}) std::ignore = cluster.get(name);
    }
  });
  const json back = cluster.ask_json(
      {"push", failing, "--canary", "34%", "--watch", "30s", "--stop-if", "errors>1%"}, 1);
  const finished told = cluster.ask(
      {"push", failing, "--canary", "34%", "--watch", "30s", "--stop-if", "errors>1%"});
  ends = true;
  traffic.join();
  EXPECT_EQ(back["state"], "aborted") << back;
  EXPECT_EQ(back["error"], "canary_failed") << back;
  std::size_t went_back = 0;
  for (const json& node : back["nodes"]) {
    EXPECT_NE(node["state"], "active") << back;
    went_back += node["state"] == "refused" && node["active_ms"].is_number() ? 1 : 0;
  }
  EXPECT_GE(went_back, 1u) << back;
  EXPECT_EQ(told.status, 1) << told.err;
  EXPECT_NE(told.out.find("  canary    "), std::string::npos) << told.out;
  EXPECT_NE(told.out.find("  went back: "), std::string::npos) << told.out;
  EXPECT_EQ(told.out.find("  active"), std::string::npos) << told.out;
  for (const std::string name : {"a", "b", "c"}) {
    EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get(name) == "one\n"; }));
  }
}

TEST(cluster, another_node_is_promoted_and_the_old_one_steps_down) {
  test_cluster cluster({.nodes = 1});
  const free_port ports(2);
  const std::string address = "127.0.0.1:" + std::to_string(ports.number());
  cluster.start("b", {"--controller", "--listen", address});
  cluster.start("c", {"--join", address});
  wait_for(cluster, 3);
  ASSERT_EQ(cluster.ask({"push", cluster.app("one", "one")}).status, 0);
  EXPECT_EQ(cluster.stop("a", SIGKILL), 128 + SIGKILL);
  ASSERT_TRUE(test_cluster::comes_true([&] {
    return cluster.ask({"cluster", "promote", "b", "--yes"}, "b").status == 0;
  }));
  ASSERT_TRUE(test_cluster::comes_true([&] {
    return cluster.ask({"push", cluster.app("two", "two")}, "c").status == 0;
  }));
  // It is not waited for if it has not found the new controller yet.
  EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get("c") == "two\n"; }));
  cluster.start("a");
  EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get("a") == "two\n"; }));
  EXPECT_TRUE(test_cluster::comes_true(
      [&] { return cluster.ask_json({"cluster", "status"}, 0, "a")["controller"] == "b"; }));
}

TEST(cluster, a_key_without_the_role_may_not_push_and_a_stranger_may_not_join) {
  test_cluster cluster({.nodes = 1});
  wait_for(cluster, 1);
  const std::string other = (cluster.folder() / "other").string();
  ASSERT_EQ(run_troupe({"keys", "init", "--keys", other}).status, 0);
  const std::string app = cluster.app("one", "one");
  const finished stranger = run_troupe({"push", app, "--node", cluster.data("a"), "--keys", other});
  EXPECT_EQ(stranger.status, 1) << stranger.err;
  const json own = json::parse(run_troupe({"keys", "list", "--keys", other, "--node",
                                           cluster.data("a"), "--json"}).out);
  const std::string key = own["key"].get<std::string>();
  ASSERT_EQ(cluster.ask({"keys", "trust", key, "--role", "config", "--holder", "ci"}).status, 0);
  EXPECT_EQ(run_troupe({"push", app, "--node", cluster.data("a"), "--keys", other}).status, 1);
  EXPECT_EQ(run_troupe({"config", "set", "x", "1", "--node", cluster.data("a"), "--keys", other}).status, 0);
  ASSERT_EQ(cluster.ask({"keys", "trust", key, "--role", "push", "--holder", "ci"}).status, 0);
  EXPECT_EQ(run_troupe({"push", app, "--node", cluster.data("a"), "--keys", other}).status, 0);
  ASSERT_EQ(cluster.ask({"keys", "revoke", key}).status, 0);
  EXPECT_EQ(run_troupe({"push", app, "--node", cluster.data("a"), "--keys", other}).status, 1);
}

TEST(cluster, a_link_with_the_tools_key_does_what_the_control_socket_does) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  const auto over_link = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--node", cluster.address(), "--keys", cluster.keys(), "--json"});
    const finished done = run_troupe(std::move(words));
    EXPECT_EQ(done.status, 0) << done.out << done.err;
    return json::parse(done.out, nullptr, false);
  };
  EXPECT_EQ(over_link({"push", cluster.app("one", "one")})["state"], "active");
  EXPECT_EQ(cluster.get("b"), "one\n");
  EXPECT_EQ(over_link({"nodes"}).size(), 2u);
  EXPECT_EQ(over_link({"releases"})[0]["release"], 1);
  over_link({"config", "set", "x", "1"});
  EXPECT_EQ(over_link({"config", "list"})[0]["value"], 1);
}

TEST(cluster, scripts_see_nodes_and_hear_topics) {
  test_cluster cluster({.nodes = 2});
  wait_for(cluster, 2);
  const std::string app = cluster.app_with(
      "talk",
      "lua_shared_dict heard 1m;\n"
      "init_worker_by_lua_block { troupe.cluster.subscribe('news', function(message, from) "
      "ngx.shared.heard:set('last', from .. ' ' .. message) end) }\n"
      "server { listen 8080;\n"
      "location = /say { content_by_lua_block { troupe.cluster.publish('news', ngx.var.arg_word) } }\n"
      "location = /heard { content_by_lua_block { ngx.say(tostring(ngx.shared.heard:get('last'))) } }\n"
      "location = /nodes { content_by_lua_block { local names = {} "
      "for _, node in ipairs(troupe.cluster.nodes()) do names[#names + 1] = node.name end "
      "ngx.say(table.concat(names, ' ')) } }\n"
      "location = /self { content_by_lua_block { ngx.say(troupe.cluster.self().name) } } }");
  ASSERT_EQ(cluster.ask({"push", app}).status, 0);
  EXPECT_EQ(cluster.get("b", "/self"), "b\n");
  EXPECT_TRUE(test_cluster::comes_true([&] { return cluster.get("b", "/nodes") == "a b\n"; }));
  EXPECT_TRUE(test_cluster::comes_true([&] {
    std::ignore = cluster.get("a", "/say?word=hello");
    return cluster.get("b", "/heard") == "a hello\n" && cluster.get("a", "/heard") == "a hello\n";
  }));
}

TEST(cluster, a_node_alone_says_that_there_is_none) {
  test_node node({.conf = "server { listen 8080; location / { content_by_lua_block { "
                          "local _, err = troupe.cluster.nodes() ngx.say(err) } } }"});
  EXPECT_EQ(test_client(node).get("/").body, "no cluster\n");
  EXPECT_EQ(run_troupe({"nodes", "--node", node.data().string()}).status, 1);
  EXPECT_EQ(run_troupe({"push", node.folder().string(), "--node", node.data().string()}).status, 1);
  EXPECT_EQ(node.stop(), 0);
}

TEST(cluster, without_keys_only_loopback_is_linked) {
  temp_dir folder;
  const finished refused =
      run_troupe({"node", "--name", "x", "--data", (folder.path() / "x").string(), "--keys",
                  (folder.path() / "none").string(), "--controller", "--listen", "0.0.0.0:7999"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("troupe keys init"), std::string::npos) << refused.err;
}

TEST(cluster, up_starts_one_on_this_machine_and_ends_it) {
  process up({binary_under_test(), "cluster", "up", "2", (source_folder() / "examples/hello").string(),
              "--shards", "1"});
  ASSERT_TRUE(up.wait_for([](const std::string& out, const std::string&) {
    return out.find("Ctrl-C ends it") != std::string::npos;
  })) << up.out() << up.err();
  EXPECT_NE(up.out().find("2/2"), std::string::npos) << up.out();
  up.signal(SIGINT);
  EXPECT_EQ(up.wait(), 0);
}

// What `troupe cluster up` has printed of its nodes.
struct shown_node {
  endpoint where;
  std::string data;
};
std::vector<shown_node> shown_by(const process& up) {
  std::vector<shown_node> nodes;
  std::istringstream lines(up.out());
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string node;
    std::string name;
    std::string url;
    std::string data;
    if (words >> node >> name >> url >> data && node == "node") nodes.push_back({endpoint::of(url), data});
  }
  return nodes;
}

/// Whether somebody listens there.
bool is_taken(const endpoint& where) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(where.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool taken = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return taken;
}

bool is_up(const process& up) {
  return up.wait_for([](const std::string& out, const std::string&) {
    return out.find("Ctrl-C ends it") != std::string::npos;
  });
}

TEST(cluster, up_leaves_no_process_no_folder_and_no_port_behind_however_it_ends) {
  temp_dir folder;
  folder.write("app/nginx.conf", "events {}\nhttp { server { listen 8080; location / { return 200 up; } } }\n");
  const process_options there{.environment = {{"TMPDIR", folder.path().string()}}};
  const std::string app = (folder.path() / "app").string();
  const std::vector<std::string> words{binary_under_test(), "cluster", "up", "3", app, "--shards", "1"};
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    process up(words, there);
    ASSERT_TRUE(is_up(up)) << up.out() << up.err();
    const auto nodes = shown_by(up);
    ASSERT_EQ(nodes.size(), 3u) << up.out();
    for (const shown_node& each : nodes) EXPECT_EQ(test_client(each.where).get("/").body, "up");
    const finished asked = run_troupe({"nodes", "--node", nodes[2].data});
    EXPECT_EQ(asked.status, 0) << asked.err;
    up.signal(signal);
    EXPECT_EQ(up.wait(), signal == SIGKILL ? 128 + SIGKILL : 0);
    for (const shown_node& each : nodes) {
      EXPECT_TRUE(test_cluster::comes_true([&] { return !is_taken(each.where); }));
    }
    if (signal != SIGKILL) EXPECT_FALSE(std::filesystem::exists(nodes[0].data));
  }
}

TEST(cluster, up_ends_what_has_taken_over_from_its_nodes_too) {
  temp_dir folder;
  const process_options there{.environment = {{"TMPDIR", folder.path().string()}}};
  process up({binary_under_test(), "cluster", "up", "2", (source_folder() / "examples/hello").string()},
             there);
  ASSERT_TRUE(is_up(up)) << up.out() << up.err();
  const auto nodes = shown_by(up);
  ASSERT_EQ(nodes.size(), 2u) << up.out();
  for (int times = 0; times < 2; ++times) {
    const finished upgraded = run_troupe({"upgrade", "--node", nodes[1].data});
    ASSERT_EQ(upgraded.status, 0) << upgraded.err;
  }
  up.signal(SIGINT);
  EXPECT_EQ(up.wait(), 0);
  EXPECT_FALSE(is_taken(nodes[1].where));
  EXPECT_FALSE(std::filesystem::exists(nodes[1].data));
}

TEST(cluster, up_ends_no_process_that_it_did_not_start) {
  process up({"/bin/sh", "-c", "sleep 600 >/dev/null 2>&1 & echo \"other $!\"; exec \"$0\" \"$@\"",
              binary_under_test(), "cluster", "up", "1",
              (source_folder() / "examples/hello").string(), "--shards", "1"});
  ASSERT_TRUE(is_up(up)) << up.out() << up.err();
  std::istringstream words(up.out());
  std::string word;
  pid_t other = 0;
  ASSERT_TRUE(words >> word >> other);
  up.signal(SIGINT);
  EXPECT_EQ(up.wait(), 0);
  EXPECT_EQ(kill(other, SIGKILL), 0);
}

TEST(cluster, up_ends_at_ctrl_c_while_it_starts_or_pushes) {
  temp_dir folder;
  const std::string mark = (folder.path() / "loading").string();
  folder.write("app/nginx.conf", "events {}\nhttp { init_by_lua_block { io.open('" + mark +
                                     "', 'w'):close() ngx.sleep(60) } lua_init_timeout 60s;\n"
                                     "server { listen 8080; location / { return 200 up; } } }\n");
  const process_options there{.environment = {{"TMPDIR", folder.path().string()}}};
  process up({binary_under_test(), "cluster", "up", "2", (folder.path() / "app").string()}, there);
  ASSERT_TRUE(test_cluster::comes_true([&] { return std::filesystem::exists(mark); })) << up.err();
  up.signal(SIGINT);
  EXPECT_EQ(up.wait(), 128 + SIGINT);
  for (const auto& each : std::filesystem::directory_iterator(folder.path())) {
    EXPECT_FALSE(each.path().filename().string().starts_with("troupe-cluster-")) << each.path();
  }
}

TEST(cluster, up_says_what_is_wrong_with_an_app_and_ends) {
  temp_dir folder;
  folder.write("app/nginx.conf", "events {}\nhttp { sever {} }\n");
  const process_options there{.environment = {{"TMPDIR", folder.path().string()}}};
  const finished bad = run_troupe({"cluster", "up", "2", (folder.path() / "app").string()}, there);
  EXPECT_EQ(bad.status, 1);
  EXPECT_NE(bad.err.find("nginx.conf:2: unknown directive \"sever\""), std::string::npos) << bad.err;
  EXPECT_EQ(run_troupe({"cluster", "up", "2", (folder.path() / "none").string()}, there).status, 1);
  EXPECT_EQ(run_troupe({"cluster", "up", "0", "app"}, there).status, 2);
  EXPECT_EQ(run_troupe({"cluster", "up", "2"}, there).status, 2);
  EXPECT_EQ(run_troupe({"cluster", "up", "2", "app", "--port", "8080"}, there).status, 2);
}

}  // namespace
}  // namespace troupe::tests
