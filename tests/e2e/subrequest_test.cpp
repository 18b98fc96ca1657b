// SPDX-License-Identifier: Apache-2.0
//
// Subrequests: ngx.location.capture, echo_location and auth_request.
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

/// A server with these locations, and some to be captured.
test_node_options with(const std::string& locations) {
  return {.conf = "server { listen @port@; " + locations + R"(
    location /show {
        internal;
        access_by_lua_block { return ngx.exit(403) }
        content_by_lua_block {
            ngx.req.read_body()
            ngx.header["X-Part"] = { "Romeo", "Juliet" }
            ngx.print(ngx.req.get_method(), " ", ngx.var.uri, " ", ngx.var.args, " ",
                      ngx.req.get_body_data(), " ", ngx.req.get_headers()["content-length"])
        }
    }
    location /slow { content_by_lua_block { ngx.sleep(tonumber(ngx.var.arg_s)) ngx.print("slow") } }
    location /teapot { return 418 "short and stout"; }
    location /refuse { content_by_lua_block { return ngx.exit(404) } }
    location /break { content_by_lua_block { error("alas") } }
  })"};
}

std::string content(const std::string& code) {
  return "location = / { content_by_lua_block { " + code + " } }";
}

}  // namespace

TEST(subrequest, too_many_at_once_are_refused) {
  test_node node({.conf = R"(server { listen @port@;
      location = /one { return 204; }
      location = / { content_by_lua_block {
          local all = {}
          for i = 1, 66000 do all[i] = { "/one" } end
          ngx.print(select(2, pcall(ngx.location.capture_multi, all))) } } })"});
  EXPECT_EQ(test_client(node).get("/").body, "failed to issue subrequest: -1");
  EXPECT_TRUE(node.logs("too many subrequests at once"));
  EXPECT_EQ(node.stop(), 0);
}

TEST(subrequest, takes_method_arguments_and_body_and_gives_status_headers_and_body) {
  test_node node(with(content(R"(
      local r = ngx.location.capture("/show?a=1",
          { method = ngx.HTTP_PUT, args = { b = "2 3" }, body = "speak" })
      ngx.say(r.status, " ", r.body, " ", table.concat(r.header["X-Part"], "+"), " ",
              r.header["Content-Type"], " ", tostring(r.truncated)))")));
  EXPECT_EQ(test_client(node).get("/").body,
            "200 PUT /show a=1&b=2%203 speak 5 Romeo+Juliet text/plain false\n");
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(subrequest, sees_the_body_of_its_parent_when_it_posts) {
  test_node node(with(content(R"(
      ngx.req.read_body()
      ngx.say(ngx.location.capture("/show", { method = ngx.HTTP_POST }).body)
      ngx.say(ngx.location.capture("/show").body)
      ngx.say(ngx.location.capture("/show", { always_forward_body = true }).body))")));
  EXPECT_EQ(test_client(node).post("/", "hello").body,
            "POST /show nil hello 5\nGET /show nil nil 0\nGET /show nil hello 5\n");
}

TEST(subrequest, many_run_at_once_and_answer_in_order) {
  test_node node(with(content(R"(
      local list = {}
      for i = 1, 20 do list[i] = { "/slow?s=" .. (i % 2 == 0 and 0 or 0.05) } end
      list[21] = { "/refuse" }
      local answers = { ngx.location.capture_multi(list) }
      ngx.update_time()
      ngx.say(#answers, answers[1].body, answers[20].body, answers[21].status,
              " ", ngx.now() - ngx.req.start_time() < 0.8))")));
  EXPECT_EQ(test_client(node).get("/").body, "21slowslow404 true\n");
}

TEST(subrequest, a_refusal_has_its_status_and_no_page) {
  test_node node(with(content(R"(
      for _, uri in ipairs{ "/refuse", "/break", "/absent", "/teapot" } do
          local r = ngx.location.capture(uri)
          ngx.say(r.status, " [", r.body, "]")
      end)")));
  EXPECT_EQ(test_client(node).get("/").body, "404 []\n500 []\n404 []\n418 [short and stout]\n");
}

TEST(subrequest, has_variables_of_its_own_copied_or_shared) {
  test_node node(with("location /set { set $v 9; content_by_lua_block { ngx.print(ngx.var.w) ngx.var.w = 'new' } }"
                      "location = / { set $v 1; set $w old; content_by_lua_block {" R"(
      local function ask(opts) return ngx.location.capture("/set", opts).body .. " " .. ngx.var.v .. " " .. ngx.var.w end
      ngx.say(ask{})
      ngx.say(ask{ copy_all_vars = true })
      ngx.say(ask{ vars = { w = "given" } })
      ngx.say(ask{ share_all_vars = true }))" "} }"));
  EXPECT_EQ(test_client(node).get("/").body, "nil 1 old\nold 1 old\ngiven 1 old\nold 9 new\n");
}

TEST(subrequest, has_a_context_of_its_own_or_the_one_given) {
  test_node node(with("location /ctx { content_by_lua_block { ngx.print(ngx.ctx.a) ngx.ctx.a = 2 } }" +
                      content(R"(
      ngx.ctx.a = 1
      local given = { a = 5 }
      ngx.print(ngx.location.capture("/ctx").body, " ", ngx.ctx.a, " ")
      ngx.print(ngx.location.capture("/ctx", { ctx = given }).body, " ", given.a, " ")
      ngx.say(ngx.location.capture("/ctx", { ctx = ngx.ctx }).body, " ", ngx.ctx.a))")));
  EXPECT_EQ(test_client(node).get("/").body, "nil 1 5 2 1 2\n");
}

TEST(subrequest, works_in_phases_where_openresty_forbids_it) {
  test_node node(with(R"(
      location = / {
          set_by_lua_block $asked { return ngx.location.capture("/teapot").status }
          header_filter_by_lua_block { ngx.header["X-Asked"] = ngx.location.capture("/teapot").status }
          content_by_lua_block { ngx.say(ngx.var.asked) }
          log_by_lua_block { ngx.log(ngx.WARN, "logged ", ngx.location.capture("/teapot").status) }
      })"));
  const response answer = test_client(node).get("/");
  EXPECT_EQ(answer.body, "418\n");
  EXPECT_EQ(answer.header("X-Asked"), "418");
  EXPECT_TRUE(node.logs("logged 418"));
}

TEST(subrequest, nests_no_deeper_than_fifty) {
  test_node node(with("location /deep { content_by_lua_block { ngx.print(ngx.location.capture('/deep').body, '.') } }"));
  test_client client(node);
  EXPECT_EQ(client.get("/deep").body.size(), 50u);
  EXPECT_TRUE(node.logs("lua subrequests cycle while processing \"/deep\""));
  EXPECT_EQ(client.get("/teapot").status, 418);
}

TEST(subrequest, tells_what_is_wrong_with_its_arguments) {
  test_node node(with(content(R"(
      local function try(...) local _, e = pcall(ngx.location.capture, ...) ngx.say((e:gsub("^.-: ", ""))) end
      try("/../x")
      try("/show", { method = "GET" })
      try("/show", { body = true })
      try("/show", { args = true })
      try("/show", { vars = { [1] = 2 } })
      try("/show", { ctx = 1 })
      local _, e = pcall(ngx.location.capture_multi, {}) ngx.say((e:gsub("^.-: ", ""))))")));
  EXPECT_EQ(test_client(node).get("/").body,
            "/../x\nBad http request method\nBad http request body\nBad args option value\n"
            "attempt to use a non-string key in the \"vars\" option table\n"
            "Bad ctx option value type number, expected a Lua table\n"
            "at least one subrequest should be specified\n");
}

TEST(subrequest, holds_up_the_end_of_its_parent_but_not_the_end_of_the_client) {
  test_node node(with("lua_check_client_abort on;" + content(R"(
      local thread = ngx.thread.spawn(function() ngx.location.capture("/slow?s=0.05") end)
      ngx.say(select(2, ngx.thread.kill(thread)))
      local ok, e = pcall(ngx.exit, 200)
      ngx.say((e:gsub("^.-: ", ""))))") +
                      "location /long { content_by_lua_block { ngx.location.capture('/slow?s=30') } }"));
  test_client client(node);
  EXPECT_EQ(client.get("/").body, "pending subrequests\nattempt to abort with pending subrequests\n");
  { auto gone = client.start("GET /long"); }
  EXPECT_EQ(client.get("/teapot").status, 418);
  EXPECT_EQ(node.stop(), 0);  // Nothing waits for the long one.
}

TEST(echo_location, says_what_other_locations_answer_in_order) {
  test_node node(with("location = / { echo first; echo_location /slow s=0.02; echo_location_async /teapot;"
                      " echo_subrequest POST /show -q a=b -b body; echo; echo last; }"));
  EXPECT_EQ(test_client(node).get("/").body,
            "first\nslowshort and stoutPOST /show a=b body 4\nlast\n");
}

TEST(auth_request, lets_in_refuses_and_fails_as_the_other_location_says) {
  test_node node(with(R"(
      location = /in { auth_request /ok; echo in; }
      location = /out { auth_request /refused; echo in; }
      location = /login { auth_request /unknown; echo in; }
      location = /odd { auth_request /teapot; echo in; }
      location = /either { satisfy any; auth_request /refused; allow all; echo in; }
      location = /ok { return 204; }
      location = /refused { return 403; }
      location = /unknown { more_set_headers "WWW-Authenticate: Basic"; return 401; })"));
  test_client client(node);
  EXPECT_EQ(client.get("/in").body, "in\n");
  EXPECT_EQ(client.get("/out").status, 403);
  EXPECT_EQ(client.get("/login").status, 401);
  EXPECT_EQ(client.get("/odd").status, 500);
  EXPECT_EQ(client.get("/either").body, "in\n");
  EXPECT_TRUE(node.logs("auth request unexpected status: 418"));
}

}  // namespace troupe::tests
