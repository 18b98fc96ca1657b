// SPDX-License-Identifier: Apache-2.0
//
// `*_by_lua_file`: paths with variables, which name another file in each request; files that are read
// anew; files that are not there.
//
// Source   "content_by_lua_file" and "lua_code_cache" in ngx_lua's README.
#include <gtest/gtest.h>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/troupe_command.hpp"

namespace troupe::tests {
TEST(lua_file, variables_in_a_path_choose_the_code_of_every_phase) {
  test_node node({.conf = R"(server { listen 8080;
      location ~ ^/set/(\w+)$ { set_by_lua_file $said lua/set_$1.lua first; return 200 $said; }
      location ~ ^/rewrite/(\w+)$ { rewrite_by_lua_file lua/say_$1.lua; }
      location ~ ^/access/(\w+)$ { access_by_lua_file lua/say_$1.lua; content_by_lua_block { } }
      location ~ ^/content/(\w+)$ { content_by_lua_file lua/say_$1.lua; }
      location ~ ^/header/(\w+)$ { header_filter_by_lua_file lua/header_$1.lua; return 200 "x"; }
      location ~ ^/body/(\w+)$ { body_filter_by_lua_file lua/body_$1.lua; echo x; echo y; }
      location ~ ^/log/(\w+)$ { log_by_lua_file lua/log_$1.lua; return 200 "x"; }
      location = /sub { content_by_lua_block {
        for _, name in ipairs { "set/a", "set/b", "body/a", "body/b", "header/b" } do
          local got = ngx.location.capture("/" .. name)
          ngx.say(name, " ", (got.body:gsub("\n", "")), " ", got.header.said)
        end } } })",
                  .files = {{"lua/set_a.lua", "ngx.sleep(0.001) return ngx.arg[1] .. ' a'"},
                            {"lua/set_b.lua", "return ngx.arg[1] .. ' b'"},
                            {"lua/say_a.lua", "ngx.print('a')"},
                            {"lua/say_b.lua", "ngx.print('b')"},
                            {"lua/header_a.lua", "ngx.header.said = 'a'"},
                            {"lua/header_b.lua", "ngx.sleep(0.001) ngx.header.said = 'b'"},
                            {"lua/body_a.lua", "ngx.arg[1] = ngx.arg[1]:gsub('%w', 'a')"},
                            {"lua/body_b.lua", "ngx.sleep(0.001) ngx.arg[1] = ngx.arg[1]:gsub('%w', 'b')"},
                            {"lua/log_a.lua", "ngx.log(ngx.NOTICE, 'logged by a')"},
                            {"lua/log_b.lua", "ngx.log(ngx.NOTICE, 'logged by b')"}}});
  test_client client(node);
  for (const std::string name : {"a", "b", "a", "a", "b"}) {
    EXPECT_EQ(client.get("/set/" + name).body, "first " + name);
    for (const char* phase : {"/rewrite/", "/access/", "/content/"}) {
      EXPECT_EQ(client.get(phase + name).body, name) << phase;
    }
    EXPECT_EQ(client.get("/header/" + name).header("said"), name);
    EXPECT_EQ(client.get("/body/" + name).body, name + "\n" + name + "\n");
    client.get("/log/" + name);
    EXPECT_TRUE(node.logs("logged by " + name));
  }
  EXPECT_EQ(client.get("/sub").body,
            "set/a first a nil\nset/b first b nil\nbody/a aa nil\nbody/b bb nil\nheader/b x b\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(lua_file, one_that_is_not_there_ends_its_request_alone_and_is_named) {
  test_node node({.conf = R"(server { listen 8080;
      location ~ ^/set/(\w+)$ { set_by_lua_file $said lua/$1.lua; return 200 $said; }
      location ~ ^/content/(\w+)$ { content_by_lua_file lua/$1.lua; }
      location ~ ^/header/(\w+)$ { header_filter_by_lua_file lua/$1.lua; return 200 "x"; }
      location ~ ^/body/(\w+)$ { body_filter_by_lua_file lua/$1.lua; echo x; }
      location = /fine { return 200 "fine"; } })",
                  .files = {{"lua/broken.lua", "return = 1"}}});
  test_client client(node);
  for (const std::string name : {"gone", "broken"}) {
    EXPECT_EQ(client.get("/set/" + name).status, 500);
    EXPECT_EQ(client.get("/content/" + name).status, name == "gone" ? 404 : 500);
    for (const char* filter : {"/header/", "/body/"}) {
      test_connection cut = client.connect();
      cut.send("GET " + (filter + name) + " HTTP/1.1\r\nHost: a\r\n\r\n");
      EXPECT_EQ(cut.read_rest().find("\r\n0\r\n"), std::string::npos);  // Cut off, not answered.
    }
    EXPECT_TRUE(node.logs("/lua/" + name + ".lua\": "));
  }
  EXPECT_EQ(client.get("/fine").body, "fine");
  EXPECT_EQ(node.stop(), 0);
}

TEST(lua_file, a_path_without_variables_is_checked_with_the_release) {
  test_node node({.conf = "server { listen 8080; return 200 one; }"});
  for (const char* directive : {"set_by_lua_file $x lua/gone.lua", "header_filter_by_lua_file lua/gone.lua",
                                "body_filter_by_lua_file lua/gone.lua"}) {
    node.edit_conf("server { listen 8080; location / { " + std::string(directive) + "; return 200 two; } }");
    const finished refused = ask(node, {"apply", node.folder().string()});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("lua/gone.lua"), std::string::npos) << refused.err;
  }
  EXPECT_EQ(test_client(node).get("/").body, "one");
  EXPECT_EQ(node.stop(), 0);
}

TEST(lua_file, without_the_code_cache_files_of_set_and_filters_are_read_anew_too) {
  test_node node({.conf = R"(server { listen 8080; lua_code_cache off;
      location /set { set_by_lua_file $said lua/set.lua; return 200 $said; }
      location /body { body_filter_by_lua_file lua/body.lua; echo -n x; }
      location /header { header_filter_by_lua_file lua/header.lua; return 200 "x"; } })",
                  .files = {{"lua/set.lua", "return 'one'"},
                            {"lua/body.lua", "if ngx.arg[1] ~= '' then ngx.arg[1] = 'one' end"},
                            {"lua/header.lua", "ngx.header.said = 'one'"}}});
  test_client client(node);
  const auto expect = [&](const std::string& word) {
    EXPECT_EQ(client.get("/set").body, word);
    EXPECT_EQ(client.get("/header").header("said"), word);
    EXPECT_EQ(client.get("/body").body.substr(0, word.size()), word);
  };
  expect("one");
  node.edit("lua/set.lua", "return 'two'");
  node.edit("lua/body.lua", "if ngx.arg[1] ~= '' then ngx.arg[1] = 'two' end");
  node.edit("lua/header.lua", "ngx.header.said = 'two'");
  expect("two");
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
