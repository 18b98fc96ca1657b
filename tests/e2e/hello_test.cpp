// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

test_node_options hello() {
  return {.app = source_folder() / "examples/hello"};
}

}  // namespace

TEST(hello, says_where_it_listens_and_shows_its_page) {
  test_node node(hello());
  test_client client(node);
  const response page = client.get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("Content-Type"), "text/html");
  EXPECT_EQ(page.body, read_file(source_folder() / "examples/hello/html/index.html"));
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(hello, greets_by_name) {
  test_node node(hello());
  test_client client(node);
  EXPECT_EQ(client.get("/hello?name=Juliet").body, "Hello, Juliet!\n");
  EXPECT_EQ(client.get("/hello?name=Romeo%20%26%20Juliet").body, "Hello, Romeo & Juliet!\n");
  EXPECT_EQ(client.get("/hello?name=Romeo&name=Juliet").body, "Hello, Juliet!\n");
  for (const auto* nobody : {"/hello", "/hello?name", "/hello?name="})
    EXPECT_EQ(client.get(nobody).body, "Hello, everybody!\n") << nobody;
  EXPECT_EQ(client.get("/hello").header("Content-Type"), "text/plain");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(hello, has_no_other_pages) {
  test_node node(hello());
  test_client client(node);
  EXPECT_EQ(client.get("/absent.html").status, 404);
  EXPECT_EQ(client.get("/../nginx.conf").status, 400);
  EXPECT_EQ(client.get("/hello/further").status, 404);
  EXPECT_EQ(client.get("/hello").body, "Hello, everybody!\n");
  EXPECT_EQ(node.stop(), 0);
}
}  // namespace troupe::tests
