// SPDX-License-Identifier: Apache-2.0
//
// Which server and location answers, and the directives that need no Lua.
//
// Source   ngx_http_core_module, ngx_http_rewrite_module, ngx_http_access_module,
//          ngx_http_log_module.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {

TEST(server, is_chosen_by_address_and_name) {
  test_node node({.conf = R"(
      server { listen @port@; server_name first.test; return 200 first; }
      server { listen @port@; server_name exact.test; return 200 exact; }
      server { listen @port@; server_name *.wild.test; return 200 before; }
      server { listen @port@; server_name wild.*; return 200 after; }
      server { listen @port@; server_name ~^(?<who>\w+)\.regex\.test$; return 200 "regex $who"; }
      server { listen @port@ default_server; server_name _; return 200 default; }
      server { listen @port2@; return 200 other; })"});
  test_client client(node);
  auto ask = [&](const std::string& host) { return client.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").body; };
  EXPECT_EQ(ask("exact.test"), "exact");
  EXPECT_EQ(ask("EXACT.test:99"), "exact");
  EXPECT_EQ(ask("a.b.wild.test"), "before");
  EXPECT_EQ(ask("wild.com"), "after");
  EXPECT_EQ(ask("romeo.regex.test"), "regex romeo");
  EXPECT_EQ(ask("nobody.test"), "default");
  EXPECT_EQ(test_client(node, 1).get("/").body, "other");
}

TEST(server, listens_on_every_kind_of_address) {
  test_node node({.conf = R"(
      server { listen 127.0.0.1:@port@ backlog=10; listen [::1]:@port2@; listen unix:here.sock; return 200 "$server_port"; })"});
  EXPECT_EQ(test_client(node, 0).get("/").status, 200);
  EXPECT_EQ(test_client(node, 1).get("/").status, 200);
}

TEST(location, is_found_as_nginx_finds_it) {
  test_node node({.conf = R"(
      server { listen @port@;
        location = /exact { return 200 exact; }
        location / { return 200 root; }
        location /images/ { return 200 prefix; location /images/deep/ { return 200 nested; } }
        location ^~ /images/raw/ { return 200 raw; }
        location ~ \.(gif|png)$ { return 200 "regex $1"; }
        location ~* \.JPG$ { return 200 caseless; }
        location /inside { internal; return 200 inside; }
        location /go { rewrite ^ /inside last; }
        location /named { error_page 418 = @tea; return 418; }
        location @tea { return 200 tea; }
      })"});
  test_client client(node);
  const std::pair<const char*, const char*> cases[] = {
      {"/exact", "exact"}, {"/exact/", "root"}, {"/images/x", "prefix"}, {"/images/deep/x", "nested"},
      {"/images/a.gif", "regex gif"}, {"/images/raw/a.gif", "raw"}, {"/a.jpg", "caseless"},
      {"/go", "inside"}, {"/named", "tea"}};
  for (const auto& [path, body] : cases) EXPECT_EQ(client.get(path).body, body) << path;
  EXPECT_EQ(client.get("/inside").status, 404);
}

TEST(rewrite, sets_returns_rewrites_and_branches) {
  test_node node({.conf = R"(
      server { listen @port@;
        set $who world;
        location /set { set $who "${who}!"; return 200 $who; }
        location /code { return 204; }
        location /url { return http://other.test/$uri; }
        location /moved { return 301 /there; }
        location /re { rewrite ^/re/(.*)$ /target?name=$1 last; }
        location /away { rewrite ^ http://other.test/ redirect; }
        location /break { rewrite ^ /changed break; content_by_lua_block { ngx.say(ngx.var.uri) } }
        location /target { return 200 "$args"; }
        location /if { if ($arg_a = 1) { return 200 one; } if ($arg_b ~ ^x(.)$) { return 200 "x$1"; }
                       if ($request_method !~ GET) { return 405; } return 200 none; }
        location /loop { rewrite ^ /loop last; }
      })"});
  test_client client(node);
  EXPECT_EQ(client.get("/set").body, "world!");
  EXPECT_EQ(client.get("/code").status, 204);
  EXPECT_EQ(client.get("/url").header("Location"), "http://other.test//url");
  EXPECT_EQ(client.get("/moved").status, 301);
  EXPECT_EQ(client.get("/re/juliet").body, "name=juliet");
  EXPECT_EQ(client.get("/away").status, 302);
  EXPECT_EQ(client.get("/break").body, "/changed\n");
  EXPECT_EQ(client.get("/if?a=1").body, "one");
  EXPECT_EQ(client.get("/if?b=xy").body, "xy");
  EXPECT_EQ(client.get("/if").body, "none");
  EXPECT_EQ(client.post("/if", "").status, 405);
  EXPECT_EQ(client.get("/loop").status, 500);
}

TEST(files, have_types_dates_and_an_index) {
  test_node node({.conf = R"(
      types { text/html html; text/css css; }
      default_type application/octet-stream;
      server { listen @port@; root html;
        location /alias/ { alias html/; }
        error_page 404 /404.html;
        error_page 403 =200 /index.html;
        location /closed { deny all; }
        location /named/ { index other.html; }
      })",
                  .files = {{"html/index.html", "<p>index</p>"}, {"html/a.css", "a"}, {"html/odd", "b"},
                            {"html/404.html", "no such page"}, {"html/named/other.html", "other"}}});
  test_client client(node);
  const response page = client.get("/");
  EXPECT_EQ(page.body, "<p>index</p>");
  EXPECT_EQ(page.header("Content-Type"), "text/html");
  ASSERT_TRUE(page.header("Last-Modified"));
  EXPECT_EQ(client.get("/index.html", {{"If-Modified-Since", *page.header("Last-Modified")}}).status, 304);
  EXPECT_EQ(client.get("/a.css").header("Content-Type"), "text/css");
  EXPECT_EQ(client.get("/odd").header("Content-Type"), "application/octet-stream");
  EXPECT_EQ(client.get("/alias/odd").body, "b");
  EXPECT_EQ(client.get("/named/").body, "other");
  EXPECT_EQ(client.get("/named").status, 301);
  const response absent = client.get("/absent");
  EXPECT_EQ(absent.status, 404);
  EXPECT_EQ(absent.body, "no such page");
  EXPECT_EQ(client.get("/closed").status, 200);
  EXPECT_EQ(client.post("/odd", "x").status, 405);
}

TEST(access, is_ruled_by_address_and_by_lua) {
  test_node node({.conf = R"(
      server { listen @port@;
        location /in { allow 127.0.0.0/8; deny all; return 200 in; }
        location /rules { allow 127.0.0.1; deny all; echo in; }
        location /deny { deny 127.0.0.1; allow all; echo in; }
        location /all { satisfy all; allow all; access_by_lua_block { ngx.exit(403) } echo in; }
        location /any { satisfy any; deny all; access_by_lua_block { ngx.exit(ngx.OK) } echo in; }
        location /neither { satisfy any; deny all; access_by_lua_block { ngx.exit(401) } echo in; }
      })"});
  test_client client(node);
  EXPECT_EQ(client.get("/rules").body, "in\n");
  EXPECT_EQ(client.get("/deny").status, 403);
  EXPECT_EQ(client.get("/all").status, 403);
  EXPECT_EQ(client.get("/any").body, "in\n");
  EXPECT_EQ(client.get("/neither").status, 401);
}

TEST(logs, have_the_format_that_was_given) {
  test_node node({.conf = R"(
      log_format short '$request_method $uri $status $body_bytes_sent "$http_x"';
      access_log short.log short;
      server { listen @port@; location / { return 200 hello; } location /off { access_log off; return 200 x; } })"});
  test_client client(node);
  client.get("/a", {{"X", "q\"\xc3"}});
  client.get("/off");
  client.get("/b");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(read_file(node.folder() / "short.log"), "GET /a 200 5 \"q\\x22\\xC3\"\nGET /b 200 5 \"-\"\n");
}

TEST(node_of_several_shards, shares_dictionaries_and_serves_from_all) {
  test_node node({.shards = 3, .conf = R"(
      lua_shared_dict counts 1m;
      init_worker_by_lua_block { ngx.shared.counts:incr("shards", 1, 0) }
      server { listen @port@; location / { content_by_lua_block {
          ngx.say(ngx.worker.count(), " ", ngx.shared.counts:get("shards"), " ", ngx.shared.counts:incr("asked", 1, 0)) } } })"});
  for (int i = 1; i <= 10; ++i) {
    EXPECT_EQ(test_client(node).get("/").body, "3 3 " + std::to_string(i) + "nilfalse\n");
  }
}

TEST(include, takes_in_files_by_pattern) {
  test_node node({.conf = "include parts/*.conf;",
                  .files = {{"parts/a.conf", "server { listen @port@; include \"parts/inner\"; }"},
                            {"parts/inner", "return 200 'included';"}}});
  EXPECT_EQ(test_client(node).get("/").body, "included");
}

TEST(code_cache, off_loads_modules_anew_but_those_of_init) {
  test_node node({.conf = R"(
      lua_code_cache off;
      init_by_lua_block { require "first" }
      server { listen @port@; location / { content_by_lua_block {
          ngx.print(require("first").loads, " ", require("part").text) } } })",
                  .files = {{"lua/first.lua", "loads = (loads or 0) + 1 return { loads = loads }"},
                            {"lua/part.lua", "return { text = 'old' }"}}});
  test_client client(node);
  EXPECT_EQ(client.get("/").body, "1 old");
  std::ofstream(node.folder() / "lua/part.lua") << "return { text = 'new' }";
  EXPECT_EQ(client.get("/").body, "1 new");
  EXPECT_EQ(client.get("/").body, "1 new");
}

TEST(code_cache, off_forgets_globals_and_holds_for_subrequests) {
  test_node node({.conf = R"(server { listen @port@;
      location = /count { lua_code_cache off; content_by_lua_block {
        seen = (seen or 0) + 1
        ngx.print(require("word"), seen) } }
      location = /both { content_by_lua_block {
        local first = ngx.location.capture("/count").body
        local file = assert(io.open(ngx.var.arg_file, "w"))
        file:write("return 'two'") file:close()
        ngx.print(first, " ", ngx.location.capture("/count").body) } } })",
                  .files = {{"lua/word.lua", "return 'one'"}}});
  const std::string file = (node.folder() / "lua/word.lua").string();
  EXPECT_EQ(test_client(node).get("/both?file=" + file).body, "one1 two1");
  EXPECT_EQ(test_client(node).get("/count").body, "two1");
  EXPECT_EQ(node.stop(), 0);
}

TEST(code_cache, off_reads_files_anew) {
  test_node node({.conf = "lua_code_cache off; server { listen @port@; location / { content_by_lua_file page.lua; } }",
                  .files = {{"page.lua", "ngx.say('old')"}}});
  test_client client(node);
  EXPECT_EQ(client.get("/").body, "old\n");
  write_file(node.folder() / "page.lua", "ngx.say('new')");
  EXPECT_EQ(client.get("/").body, "new\n");
}

TEST(server, that_a_reload_takes_away_serves_nobody_any_more) {
  test_node node({.conf = R"(exit_worker_by_lua_block { ngx.log(ngx.ERR, "retired") }
                  server { listen @port@; return 200 "public"; } server { listen @port2@; return 200 "admin"; })",
                  .as_nginx = true});
  test_connection kept = test_client(node).connect();
  kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(kept.read_response().body, "public");
  const std::string conf = read_file(node.folder() / "nginx.conf");
  const auto first = conf.find("server {");
  const auto second = conf.find("server {", first + 1);
  write_file(node.folder() / "nginx.conf", conf.substr(0, first) + conf.substr(second));
  node.signal(SIGHUP);
  EXPECT_TRUE(node.logs("retired"));
  kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(kept.read_rest(), "");
  EXPECT_EQ(test_client(node, 1).get("/").body, "admin");
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
