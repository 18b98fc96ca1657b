// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe::tests {
namespace {

test_node_options echo() {
  return {.app = source_folder() / "examples/echo"};
}

// Bytes of which none is where another could be.
std::string long_text(std::size_t bytes) {
  std::string text;
  text.reserve(bytes + 16);
  for (std::size_t line = 0; text.size() < bytes; ++line) text += std::to_string(line) + "\n";
  text.resize(bytes);
  return text;
}

}  // namespace

TEST(echo, gives_back_what_it_was_sent) {
  test_node node(echo());
  test_client client(node);
  EXPECT_EQ(client.post("/echo", "to be or not to be").body, "body: to be or not to be");
  EXPECT_EQ(client.post("/echo", std::string("\0\r\n\xff", 4)).body,
            std::string("body: \0\r\n\xff", 10));
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(echo, has_nothing_to_say_about_no_body) {
  test_node node(echo());
  test_client client(node);
  const response answer = client.get("/echo");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(client.post("/echo", "").body, "");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(echo, takes_chunks_as_one_body) {
  test_node node(echo());
  test_client client(node);
  const auto answer = client.post("/echo", "3\r\nto \r\n5;aside=1\r\nbe or\r\n0\r\n\r\n",
                                  {{"Transfer-Encoding", "chunked"}});
  EXPECT_EQ(answer.body, "body: to be or");
  EXPECT_EQ(client.get("/echo").status, 200);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(echo, keeps_a_body_of_the_buffers_size_in_memory) {
  test_node node(echo());
  test_client client(node);
  for (const std::size_t bytes : {1000, 8192}) {
    const std::string body = long_text(bytes);
    EXPECT_EQ(client.post("/echo", body).body, "body: " + body) << bytes;
  }
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(echo, serves_others_while_bodies_trickle_in) {
  test_node node(echo());
  test_client client(node);
  const std::string body = long_text(40);
  std::vector<pending_response> slow;
  for (int i = 0; i < 100; ++i)
    slow.push_back(client.start("POST /echo", "", {{"Content-Length", "40"}}));
  // One byte of each body, then a whole exchange of somebody else, forty times.
  for (const char byte : body) {
    for (auto& exchange : slow) ASSERT_TRUE(exchange.connection().send({&byte, 1}));
    EXPECT_EQ(client.post("/echo", "quick").body, "body: quick");
  }
  for (auto& exchange : slow) EXPECT_EQ(exchange.response().body, "body: " + body);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(echo, survives_clients_that_vanish_in_the_middle_of_a_body) {
  test_node node(echo());
  test_client client(node);
  for (int i = 0; i < 50; ++i) {
    auto leaving = client.start("POST /echo", "half", {{"Content-Length", "1000"}});
    if (i % 2 == 0) leaving.connection().reset();
  }
  EXPECT_EQ(client.post("/echo", "still here").body, "body: still here");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(echo, answers_a_pipeline_in_order) {
  test_node node(echo());
  test_client client(node);
  auto connection = client.connect();
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += client.message("POST", "/echo", std::to_string(i));
  connection.send(requests);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(connection.read_response().body, "body: " + std::to_string(i));
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(echo, asks_for_the_body_that_a_client_holds_back) {
  test_node node(echo());
  test_client client(node);
  auto exchange =
      client.start("POST /echo", "", {{"Content-Length", "5"}, {"Expect", "100-continue"}});
  EXPECT_EQ(exchange.connection().read_head().status, 100);
  exchange.connection().send("there");
  EXPECT_EQ(exchange.response().body, "body: there");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}
}  // namespace troupe::tests
