// SPDX-License-Identifier: Apache-2.0
//
// What a script says and what it is told: values as text, query and post arguments.
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

#include <string>

namespace troupe::tests {
namespace {

// An app with one location for each script: /0, /1 …
test_node_options scripts(std::initializer_list<std::string> texts) {
  std::string conf = "server { listen 8080;\n";
  int number = 0;
  for (const std::string& text : texts) {
    conf +=
        "location = /" + std::to_string(number++) + " { content_by_lua_block { " + text + " } }\n";
  }
  return {.conf = conf + "}"};
}

TEST(values, are_said_as_openresty_says_them) {
  test_node node(scripts({"ngx.say('a', 1, 1.5, 1e14, -0, nil, true, ngx.null)",
                          "ngx.say({'a', {1, nil, {false}}}, {}, 'b')",
                          "ngx.print('x') ngx.print() ngx.print('') ngx.print(nil) ngx.say()"}));
  test_client client(node);
  EXPECT_EQ(client.get("/0").body, "a11.51e+140niltruenull\n");
  EXPECT_EQ(client.get("/1").body, "a1nilfalseb\n");
  EXPECT_EQ(client.get("/2").body, "xnil\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(values, without_a_text_are_refused_before_anything_is_said) {
  test_node node(scripts({"ngx.say(select(2, pcall(function() ngx.say('a', print) end)))",
                          "ngx.say(select(2, pcall(ngx.say, 'a', { b = 1 })))",
                          "local shout = ngx.print ngx.say(select(2, pcall(function() "
                          "shout({ io.stdout }) end)))"}));
  test_client client(node);
  const std::string body = client.get("/0").body;
  EXPECT_TRUE(body.starts_with("content_by_lua(nginx.conf:")) << body;
  EXPECT_TRUE(
      body.ends_with(":1: bad argument #2 to 'say' (string, number, boolean, nil, ngx.null, "
                     "or array table expected, but got function)\n"))
      << body;
  EXPECT_EQ(client.get("/1").body, "bad argument #2 to '?' (non-array table found)\n");
  EXPECT_NE(client.get("/2").body.find("#1 to 'shout' (bad data type userdata found)"),
            std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(values, in_a_query_are_limited_and_may_lack_a_key) {
  const std::string show =
      "local args, more = ngx.req.get_uri_args(2) local keys = {} "
      "for k, v in pairs(args) do keys[#keys + 1] = k .. '=' .. tostring(v) end table.sort(keys) "
      "ngx.say(table.concat(keys, ' '), ' ', more)";
  test_node node(scripts({show, "ngx.say(ngx.var.args)"}));
  test_client client(node);
  EXPECT_EQ(client.get("/0?a=1&b=%20x+y").body, "a=1 b= x y nil\n");
  EXPECT_EQ(client.get("/0?=0&a&b=&c=3").body, "a=true b= truncated\n");
  EXPECT_EQ(client.get("/0").body, " nil\n");
  EXPECT_EQ(client.get("/1").body, "nil\n");
  EXPECT_EQ(client.get("/1?").body, "nil\n");
  EXPECT_EQ(node.stop(), 0);
}

TEST(values, in_a_body_are_read_as_those_in_a_query) {
  test_node node(
      scripts({"ngx.req.read_body() local args, more = ngx.req.get_post_args(3) "
               "ngx.say(args.a, ' ', args.b, ' ', args.c, ' ', more)"}));
  test_client client(node);
  EXPECT_EQ(client.post("/0", "a=1&b").body, "1 true nil nil\n");
  EXPECT_EQ(client.post("/0", "=0&a=%26&b=2&c=3").body, "& 2 nil truncated\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

}  // namespace
}  // namespace troupe::tests
