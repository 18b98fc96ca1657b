// SPDX-License-Identifier: Apache-2.0
#include "runtime/admin_server.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "runtime/admin_client.hpp"
#include "runtime/unix_address.hpp"
#include "tests/support/temp_dir.hpp"

namespace troupe {
namespace {

admin_response echo(const admin_request& asked) {
  return {.body = asked.method + ' ' + asked.path + " a=" + std::string(asked.parameter("a")) +
                  ' ' + asked.body,
          .stream = {}};
}

class admin_server_test : public testing::Test {
 protected:
  admin_server open(admin_server::handler answer) {
    auto opened = admin_server::open(path, std::move(answer));
    EXPECT_TRUE(opened) << opened.error().reason;
    return std::move(*opened);
  }
  admin_client client() {
    auto connected = admin_client::connect(folder.path().string(), {});
    EXPECT_TRUE(connected) << connected.error().reason;
    return std::move(*connected);
  }
  // What a peer gets that sends these bytes and then ends its side.
  std::string raw(std::string_view bytes) {
    const unix_address where(path);
    net::unique_fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(::connect(socket.get(), where.get(), where.size()), 0);
    EXPECT_EQ(write(socket.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    shutdown(socket.get(), SHUT_WR);
    std::string answer;
    char room[4096];
    for (ssize_t got = 0; (got = read(socket.get(), room, sizeof room)) > 0;) {
      answer.append(room, static_cast<std::size_t>(got));
    }
    return answer;
  }

  tests::temp_dir folder;
  std::string path = folder.path().string() + "/control.sock";
};

TEST_F(admin_server_test, answers_several_requests_of_one_connection) {
  const auto server = open(echo);
  auto asking = client();
  EXPECT_EQ(asking.ask("GET", "/v1/status?a=x%26y+z")->body, "GET /v1/status a=x&y z ");
  const std::string large(3'000'000, 'b');
  EXPECT_EQ(asking.ask("POST", "/v1/releases", large)->body, "POST /v1/releases a= " + large);
}

TEST_F(admin_server_test, answers_also_when_no_descriptor_is_left) {
  const auto server = open(echo);
  const unix_address where(path);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (int i = 0; i < 5; ++i) {
    const net::unique_fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    const int lowest = dup(socket.get());  // All below it are taken.
    close(lowest);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest), .rlim_max = before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    EXPECT_EQ(::connect(socket.get(), where.get(), where.size()), 0);
    constexpr std::string_view asked = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(write(socket.get(), asked.data(), asked.size()), static_cast<ssize_t>(asked.size()));
    std::string answer;
    char room[4096];
    for (ssize_t got = 0; (got = read(socket.get(), room, sizeof room)) > 0;) {
      answer.append(room, static_cast<std::size_t>(got));
    }
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(answer.ends_with("GET /x a= ")) << answer;
  }
}

TEST_F(admin_server_test, is_its_owners_alone) {
  const auto server = open(echo);
  struct stat found {};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
}

TEST_F(admin_server_test, knows_who_asks) {
  const auto server = open([](const admin_request& asked) {
    return admin_response{
        .body = std::to_string(asked.peer.pid) + ' ' + std::to_string(asked.peer.uid),
        .stream = {}};
  });
  EXPECT_EQ(client().ask("GET", "/")->body,
            std::to_string(getpid()) + ' ' + std::to_string(getuid()));
}

TEST_F(admin_server_test, sends_an_answer_that_goes_on_line_by_line) {
  const auto server = open([](const admin_request&) {
    return admin_response{.stream = [](const admin_lines& send) {
      for (int i = 0; i < 3; ++i) send(std::to_string(i));
    }};
  });
  std::vector<std::string> lines;
  const auto ended = client().follow("GET", "/v1/config?watch=", {}, [&](std::string_view line) {
    lines.emplace_back(line);
    return true;
  });
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status, 200);
  EXPECT_EQ(lines, (std::vector<std::string>{"0", "1", "2"}));
}

TEST_F(admin_server_test, its_end_is_seen_by_streams_and_waited_for) {
  std::atomic<bool> has_ended{false};
  {
    const auto server = open([&](const admin_request&) {
      return admin_response{.stream = [&](const admin_lines& send) {
        send("first");
        while (send("")) std::this_thread::yield();
        has_ended = true;
      }};
    });
    bool begun = false;
    auto following = client();
    std::thread ender;
    (void)following.follow("GET", "/", {}, [&](std::string_view) {
      begun = true;
      return false;
    });
    EXPECT_TRUE(begun);
  }
  EXPECT_TRUE(has_ended);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(admin_server_test, refuses_what_is_no_request) {
  const auto server = open(echo);
  EXPECT_NE(raw("rubbish\r\n\r\n").find("HTTP/1.1 400 "), std::string::npos);
  EXPECT_NE(raw("GET /../etc HTTP/1.1\r\nHost: x\r\n\r\n").find("HTTP/1.1 400 "),
            std::string::npos);
  EXPECT_NE(raw("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n").find(" 413 "),
            std::string::npos);
  EXPECT_NE(raw("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                .find(" 411 "),
            std::string::npos);
  EXPECT_NE(raw("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x')).find(" 431 "),
            std::string::npos);
  EXPECT_EQ(raw("GET / HT"), "");
  EXPECT_EQ(raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nshort"), "");
  EXPECT_EQ(client().ask("GET", "/")->status, 200);
}

TEST_F(admin_server_test, takes_the_place_of_a_socket_that_a_dead_node_left) {
  {
    std::FILE* left = std::fopen(path.c_str(), "w");
    std::fclose(left);
  }
  const auto server = open(echo);
  EXPECT_EQ(client().ask("GET", "/")->status, 200);
}

TEST_F(admin_server_test, leaves_the_socket_of_a_successor_alone) {
  auto first = std::make_unique<admin_server>(open(echo));
  const auto second =
      open([](const admin_request&) { return admin_response{.body = "2", .stream = {}}; });
  first.reset();
  EXPECT_EQ(client().ask("GET", "/")->body, "2");
}

TEST_F(admin_server_test, works_in_a_folder_with_a_long_name) {
  const std::string deep = folder.path().string() + '/' + std::string(120, 'd');
  std::filesystem::create_directory(deep);
  path = deep + "/control.sock";
  const auto server = open(echo);
  auto connected = admin_client::connect(deep, {});
  ASSERT_TRUE(connected) << connected.error().reason;
  EXPECT_EQ(connected->ask("GET", "/x")->status, 200);
}

TEST(admin_client, says_where_it_found_no_node) {
  const tests::temp_dir folder;
  const auto refused = admin_client::connect(folder.path().string(), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "no node answers at " + folder.path().string() +
                                        "/control.sock: No such file or directory");
  EXPECT_NE(refused.error().hint, "");
}

TEST_F(admin_server_test, a_client_gives_up_at_its_deadline_while_nobody_reads_what_it_sends) {
  const net::unique_fd deaf(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const unix_address where(path);
  ASSERT_EQ(bind(deaf.get(), where.get(), where.size()), 0);
  ASSERT_EQ(listen(deaf.get(), 1), 0);
  auto asking =
      admin_client::connect(path, admin_client::clock::now() + std::chrono::milliseconds(20));
  ASSERT_TRUE(asking);
  const auto late = asking->ask("POST", "/", std::string(4 << 20, 'x'));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, "the node at " + path + " gave no answer in time");
}

TEST_F(admin_server_test, a_client_gives_up_at_its_deadline) {
  std::atomic<bool> may_answer{false};
  {
    const auto server = open([&](const admin_request&) {
      while (!may_answer) std::this_thread::yield();
      return admin_response{.stream = {}};
    });
    auto asking = admin_client::connect(path, admin_client::clock::now());
    const auto late = asking->ask("GET", "/");
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().reason, "the node at " + path + " gave no answer in time");
    may_answer = true;
  }
}

}  // namespace
}  // namespace troupe
