// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_client.hpp"

#include "tests/support/temp_dir.hpp"
#include "tests/support/test_peer.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

// Answers each request of a connection with its number and its start line.
void count_requests(test_connection& with) {
  for (int n = 1;; ++n) {
    const http_message request = with.read_request();
    if (!request.error.empty()) return;
    const std::string body = std::to_string(n) + " " + request.start_line + " " + request.body;
    with.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
              body);
  }
}

// Sends the same bytes to everybody, once they asked.
test_peer::conversation say(std::string bytes) {
  return [bytes = std::move(bytes)](test_connection& with) {
    with.read_request();
    with.send(bytes);
  };
}

}  // namespace

TEST(test_client, keeps_its_connection) {
  test_peer peer(count_requests);
  test_client client(peer.address());
  EXPECT_EQ(client.get("/a").body, "1 GET /a HTTP/1.1 ");
  EXPECT_EQ(client.post("/b", "text").body, "2 POST /b HTTP/1.1 text");
}

TEST(test_client, opens_another_when_the_server_closed) {
  test_peer peer(say("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
  test_client client(peer.address());
  EXPECT_EQ(client.get("/").status, 204);
  EXPECT_EQ(client.get("/").status, 204);
}

TEST(test_client, takes_chunks_and_trailers_apart) {
  test_peer peer(
      say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
          "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nDigest: d\r\n\r\n"));
  const response answer = test_client(peer.address()).get("/");
  EXPECT_EQ(answer.body, "abc0123456789");
  ASSERT_EQ(answer.trailers.size(), 1u);
  EXPECT_EQ(answer.trailers[0].second, "d");
  EXPECT_EQ(answer.error, "");
}

TEST(test_client, reads_a_body_without_length_to_the_end) {
  test_peer peer(say("HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\n\r\nall of it"));
  const response answer = test_client(peer.address()).get("/");
  EXPECT_EQ(answer.body, "all of it");
  EXPECT_EQ(answer.header("X-A"), "1, 2");
  EXPECT_EQ(answer.header("absent"), std::nullopt);
}

TEST(test_client, tells_a_cut_body_from_a_whole_one) {
  test_peer peer(say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
  const response answer = test_client(peer.address()).get("/");
  EXPECT_EQ(answer.body, "half");
  EXPECT_EQ(answer.error, "cut in the body: the peer closed");
}

TEST(test_client, passes_interim_responses_by) {
  test_peer peer(say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  const response answer = test_client(peer.address()).get("/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.interim, std::vector<int>{100});
}

TEST(test_client, has_many_answers_of_one_pipeline_in_order) {
  test_peer peer(count_requests);
  const auto answers = test_client(peer.address()).pipeline({"GET /a", "GET /b", "GET /c"});
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].body, "1 GET /a HTTP/1.1 ");
  EXPECT_EQ(answers[2].body, "3 GET /c HTTP/1.1 ");
}

TEST(test_client, leaves_a_request_under_way_and_reads_it_later) {
  test_peer first(count_requests);
  test_peer second(count_requests);
  auto waiting = test_client(first.address()).start("GET /later");
  EXPECT_EQ(test_client(second.address()).get("/now").body, "1 GET /now HTTP/1.1 ");
  EXPECT_EQ(waiting.response().body, "1 GET /later HTTP/1.1 ");
}

TEST(test_client, reads_no_body_after_head) {
  test_peer peer(say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"));
  const response answer = test_client(peer.address()).request("HEAD", "/");
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.error, "");
}

TEST(test_client, reaches_unix_sockets_and_ipv6) {
  temp_dir folder;
  test_peer here(endpoint::of("unix:" + (folder.path() / "s").string()), count_requests);
  EXPECT_EQ(test_client(here.address()).get("/u").body, "1 GET /u HTTP/1.1 ");
  test_peer six(endpoint{.host = "::1"}, count_requests);
  EXPECT_EQ(test_client(six.address()).get("/6").body, "1 GET /6 HTTP/1.1 ");
}

TEST(test_connection, sees_the_other_side_leave) {
  test_peer peer([](test_connection& with) { with.read_exactly(1); });
  test_connection connection(peer.address());
  EXPECT_FALSE(connection.has_more());
  connection.send("x");
  EXPECT_TRUE(connection.is_closed_by_peer());
}

TEST(test_connection, gives_raw_bytes_as_they_are) {
  test_peer peer(say("HTTP/1.1 200 OK\r\n\r\nbody"));
  test_connection connection(peer.address());
  connection.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(connection.read_until("\r\n\r\n"), "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(connection.read_rest(), "body");
}

TEST(endpoint, reads_every_form_that_a_node_prints) {
  EXPECT_EQ(endpoint::of("http://127.0.0.1:8080").port, 8080);
  EXPECT_EQ(endpoint::of("http://0.0.0.0:8080").host, "127.0.0.1");
  EXPECT_EQ(endpoint::of("http://[::]:81").host, "::1");
  EXPECT_EQ(endpoint::of("http://[::1]:81").authority(), "[::1]:81");
  EXPECT_EQ(endpoint::of("http://unix:/tmp/s").unix_path, "/tmp/s");
  EXPECT_EQ(endpoint::of("unix:/tmp/s").unix_path, "/tmp/s");
}
}  // namespace troupe::tests
