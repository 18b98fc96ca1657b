// SPDX-License-Identifier: Apache-2.0
//
// Releases when things break: kill -9, a full disk, files that move, ports that are taken, init that
// does not end, garbage on the control socket. The release before serves on, and the reason is told.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/control_client.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/troupe_command.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// An app whose parts all say the same word.
app_files app_of(const std::string& word) {
  return {{"nginx.conf", "server { listen 8080; root html; location = / { content_by_lua_block { "
                         "ngx.print(require('word'), ' ', '" + word + "') } } }"},
          {"lua/word.lua", "return '" + word + "'\n"},
          {"html/word.txt", word}};
}

std::string both(const std::string& word) { return word + ' ' + word; }

/// `troupe run` with a data folder that outlives it.
struct served_data {
  served_data(const fs::path& data, std::vector<std::string> words) : data(data) {
    words.insert(words.begin(), {binary_under_test(), "run"});
    words.insert(words.end(), {"--data", data.string(), "--shards", "1", "--port", "0"});
    node = std::make_unique<process>(words);
    is_there = node->wait_for([](const std::string& out, const std::string&) {
      return out.find("listening on ") != std::string::npos && out.ends_with('\n');
    });
    EXPECT_TRUE(is_there) << node->err();
    const std::string out = node->out();
    if (is_there) where = endpoint::of(out.substr(out.find("http://"), out.find('\n') - out.find("http://")));
  }

  fs::path data;
  std::unique_ptr<process> node;
  endpoint where;
  bool is_there = false;
};

json history(control_client& control) { return control.ask("GET", "/v1/releases").body; }

std::string reason_of(const control_client::answer& got) {
  return got.body.is_object() ? got.body.value("reason", "") : std::string("no answer");
}

}  // namespace

TEST(fault, kill_9_at_any_moment_of_an_apply_leaves_one_release_whole) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  temp_dir folder;
  const fs::path data = folder.path() / "data";
  for (const auto& [path, bytes] : app_of("w0")) folder.write("app/" + path, bytes);
  {
    served_data first(data, {(folder.path() / "app").string()});
    ASSERT_TRUE(first.is_there);
    first.node->signal(SIGQUIT);
    EXPECT_EQ(first.node->wait(), 0);
  }
  std::map<int, std::string> known{{1, "w0"}};
  int acknowledged = 1;
  int word = 0;
  std::size_t applied = 0;
  for (int round = 0; round < 50; ++round) {
    served_data now(data, {});
    ASSERT_TRUE(now.is_there) << "round " << round;
    control_client control(data);
    // What serves is what the history says, and nothing that was answered is lost.
    const json releases = history(control);
    ASSERT_TRUE(releases.is_array() && !releases.empty()) << releases;
    int active = 0;
    int before = 1 << 30;
    for (const json& each : releases) {
      EXPECT_LT(each["release"], before);
      before = each["release"];
      if (each["state"] == "active") active = before;
      const std::string& says = known.contains(before) ? known[before] : known[-1];
      EXPECT_EQ(each["digest"], digest_of(app_of(says))) << before << ' ' << says;
    }
    EXPECT_TRUE(active == acknowledged || active == acknowledged + 1) << active;
    if (!known.contains(active)) known[active] = known[-1];
    acknowledged = active;
    EXPECT_EQ(test_client(now.where).get("/").body, both(known[active]));
    EXPECT_EQ(test_client(now.where).get("/word.txt").body, known[active]);
    ASSERT_FALSE(HasFailure()) << "round " << round;

    // On a slow machine no apply ends in so short a time: later, until one has.
    const int longest = applied > 0 ? 25'000 : 25'000 + round * 10'000;
    std::thread killer([&, pause = std::uniform_int_distribution(0, longest)(random)] {
      std::this_thread::sleep_for(std::chrono::microseconds(pause));
      now.node->signal(SIGKILL);
    });
    test_connection wire(control.where());
    for (;;) {
      const std::string next = "w" + std::to_string(++word);
      known[-1] = next;  // Whether it came to be, the restart says.
      const std::string body = bundle_of(app_of(next));
      if (!wire.send("POST /v1/releases HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body)) {
        break;
      }
      const response got = wire.read_response();
      if (got.status == 0) break;
      ASSERT_EQ(got.status, 200) << got.body;
      acknowledged = json::parse(got.body)["release"];
      known[acknowledged] = next;
      ++applied;
    }
    killer.join();
    EXPECT_EQ(now.node->wait(), 128 + SIGKILL);
  }
  EXPECT_GT(applied, 0u);
}

namespace {

/// In the child, in a mount namespace of its own.
void apply_to_full_disks(const fs::path& mount_point, const fs::path& app) {
  ASSERT_EQ(mount("troupe-test", mount_point.c_str(), "tmpfs", 0, "size=6m"), 0);
  served_data node(mount_point / "data", {app.string()});
  ASSERT_TRUE(node.is_there);
  control_client control(node.data);
  int refused = 0;
  int number = 1;
  for (int room = 0; room < 400; room += room < 16 ? 1 : 16) {
    struct statvfs disk;
    ASSERT_EQ(statvfs(mount_point.c_str(), &disk), 0);
    const auto taken = (static_cast<long long>(disk.f_bavail) - room) * static_cast<long long>(disk.f_bsize);
    const fs::path filler = mount_point / "filler";
    const int file = open(filler.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (taken > 0) {
      ASSERT_EQ(posix_fallocate(file, 0, taken), 0);
    }
    close(file);
    app_files next = app_of("room" + std::to_string(room));
    for (int i = 0; i < 8; ++i) {
      next["html/" + std::to_string(i)] = std::string(20'000, static_cast<char>('a' + i)) + std::to_string(room);
    }
    const auto got = control.apply(next);
    std::error_code ignored;
    if (got.status != 200) {
      ++refused;
      EXPECT_EQ(got.status, 507) << got.body;
      EXPECT_EQ(got.body["error"], "storage_failed");
      EXPECT_NE(reason_of(got).find(node.data.string()), std::string::npos) << got.body;
      EXPECT_TRUE(reason_of(got).find("No space left on device") != std::string::npos ||
                  reason_of(got).find("disk is full") != std::string::npos)
          << got.body;
      EXPECT_EQ(history(control)[0]["release"], number);
      fs::remove(filler, ignored);
      // With room it is taken, by the same node.
      const auto again = control.apply(next);
      ASSERT_EQ(again.status, 200) << again.body;
    }
    ++number;
    EXPECT_EQ(test_client(node.where).get("/").body, both("room" + std::to_string(room)));
    EXPECT_EQ(test_client(node.where).get("/7").body, next["html/7"]);
    fs::remove(filler, ignored);
    if (testing::Test::HasFailure()) FAIL() << "with " << room << " blocks left";
    if (got.status == 200) break;
  }
  EXPECT_GT(refused, 5);
  node.node->signal(SIGQUIT);
  EXPECT_EQ(node.node->wait(), 0) << node.node->err();
}

}  // namespace

TEST(fault, a_full_disk_refuses_a_release_and_names_the_file) {
  temp_dir folder;
  for (const auto& [path, bytes] : app_of("first")) folder.write("app/" + path, bytes);
  fs::create_directory(folder.path() / "disk");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      _exit(77);
    }
    apply_to_full_disks(folder.path() / "disk", folder.path() / "app");
    fflush(nullptr);
    _exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no mount namespace without root";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(fault, a_file_that_changes_while_it_is_read_is_taken_whole_or_refused) {
  test_node node({.conf = "server { listen 8080; root html; }", .files = {{"html/a", "first"}}});
  const fs::path file = node.folder() / "html/a";
  std::atomic<bool> ends = false;
  // In place, as editors and `cp` do: half of it is old at some moment.
  std::thread writer([&] {
    const int out = open(file.c_str(), O_WRONLY | O_CLOEXEC);
    for (char letter = 'a'; !ends; letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1)) {
      const std::string part(64 * 1024, letter);
      for (int i = 0; i < 16; ++i) {
        if (pwrite(out, part.data(), part.size(), i * static_cast<off_t>(part.size())) < 0) return;
      }
    }
    close(out);
  });
  for (int i = 0; i < 5; ++i) {
    const finished done = ask(node, {"apply", node.folder().string()});
    if (done.status == 0) continue;
    EXPECT_EQ(done.status, 1);
    EXPECT_NE(done.err.find("html/a"), std::string::npos) << done.err;
  }
  const std::string served = test_client(node).get("/a").body;
  if (served != "first") {
    EXPECT_EQ(served, std::string(served.size(), served[0]));
  }
  ends = true;
  writer.join();
  write_file(file, "last");
  EXPECT_EQ(ask(node, {"apply", node.folder().string()}).status, 0);
  EXPECT_EQ(test_client(node).get("/a").body, "last");
  EXPECT_EQ(node.stop(), 0);
}

TEST(fault, what_no_release_can_hold_is_refused_by_name) {
  test_node node({.conf = "server { listen 8080; root html; }", .files = {{"html/a", "first"}}});
  const fs::path inside = node.folder() / "html";
  const auto refused = [&](const std::string& name) {
    write_file(inside / "a", "second");
    const finished done = ask(node, {"apply", node.folder().string()});
    EXPECT_EQ(done.status, 1) << name;
    EXPECT_NE(done.err.find("html/" + name), std::string::npos) << done.err;
    fs::remove(inside / name);
    EXPECT_EQ(test_client(node).get("/a").body, "first");
  };
  fs::create_symlink("/etc/hostname", inside / "out");
  refused("out");
  fs::create_directory_symlink("../..", inside / "up");
  refused("up");
  fs::create_symlink("nowhere", inside / "dangling");
  refused("dangling");
  fs::create_symlink("loop", inside / "loop");
  refused("loop");
  ASSERT_EQ(mkfifo((inside / "pipe").c_str(), 0600), 0);
  refused("pipe");
  EXPECT_EQ(ask(node, {"apply", node.folder().string()}).status, 0);
  EXPECT_EQ(test_client(node).get("/a").body, "second");
  EXPECT_EQ(node.stop(), 0);
}

namespace {

/// A listener of the test's own; the port below it is free.
struct taken_port {
  taken_port() {
    for (int tries = 0; tries < 100; ++tries) {
      socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in at{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
      socklen_t size = sizeof at;
      EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&at), size), 0);
      EXPECT_EQ(::listen(socket, 1), 0);
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&at), &size);
      number = ntohs(at.sin_port);
      const int below = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      at.sin_port = htons(static_cast<std::uint16_t>(number - 1));
      const bool is_free = ::bind(below, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
      ::close(below);
      if (is_free) return;
      ::close(socket);
    }
    ADD_FAILURE() << "no two ports";
  }
  ~taken_port() { ::close(socket); }
  int socket = -1;
  std::uint16_t number = 0;
};

}  // namespace

TEST(fault, a_port_that_someone_has_refuses_the_release) {
  temp_dir folder;
  taken_port other;
  app_files app{{"nginx.conf", "server { listen 127.0.0.1:8080; return 200 one; }"}};
  folder.write("app/nginx.conf", app["nginx.conf"]);
  const fs::path data = folder.path() / "data";
  process node({binary_under_test(), "run", (folder.path() / "app").string(), "--data", data.string(),
                "--shards", "1", "--port", std::to_string(other.number - 1)});
  ASSERT_TRUE(node.wait_for([](const std::string& out, const std::string&) {
    return out.find("listening on ") != std::string::npos;
  })) << node.err();
  const endpoint where{.port = static_cast<std::uint16_t>(other.number - 1)};
  test_client kept(where);
  EXPECT_EQ(kept.get("/").body, "one");
  control_client control(data);
  app["nginx.conf"] = "server { listen 127.0.0.1:8080; listen 127.0.0.1:8081; return 200 two; }";
  const auto refused = control.apply(app);
  EXPECT_EQ(refused.status, 422) << refused.body;
  EXPECT_NE(reason_of(refused).find("127.0.0.1:" + std::to_string(other.number)), std::string::npos)
      << refused.body;
  EXPECT_NE(reason_of(refused).find("Address already in use"), std::string::npos) << refused.body;
  EXPECT_EQ(kept.get("/").body, "one");
  ::close(std::exchange(other.socket, -1));
  EXPECT_EQ(control.apply(app).status, 200);
  EXPECT_EQ(kept.get("/").body, "two");
  EXPECT_EQ(test_client({.port = other.number}).get("/").body, "two");
  node.signal(SIGQUIT);
  EXPECT_EQ(node.wait(), 0);
}

TEST(fault, a_release_that_needs_another_version_is_refused_by_name) {
  test_node node({.conf = "server { listen 8080; return 200 one; }"});
  control_client control(node.data());
  const app_files next{{"nginx.conf", "server { listen 8080; return 200 two; }"}};
  const auto refused = control.ask("POST", "/v1/releases?", bundle_of(next, {"on_release", "time_travel"}));
  EXPECT_EQ(refused.status, 422) << refused.body;
  EXPECT_EQ(refused.body["error"], "check_failed");
  EXPECT_NE(reason_of(refused).find("needs time_travel"), std::string::npos) << refused.body;
  EXPECT_EQ(test_client(node).get("/").body, "one");
  EXPECT_EQ(control.ask("POST", "/v1/releases?", bundle_of(next, {"on_release"})).status, 200);
  EXPECT_EQ(test_client(node).get("/").body, "two");
  EXPECT_EQ(node.stop(), 0);
}

TEST(fault, an_init_that_does_not_work_refuses_the_release) {
  test_node node({.conf = "server { listen 8080; return 200 one; }"});
  control_client control(node.data());
  const std::pair<std::string, std::string> cases[] = {
      {"lua_init_timeout 200ms; init_by_lua_block { while true do end }", "it has not ended within 200 ms"},
      {"lua_init_timeout 200ms; init_worker_by_lua_block { while true do pcall(function() while true do end "
       "end) end }",
       "it has not ended within 200 ms"},
      {"lua_init_timeout 200ms; init_by_lua_block { ngx.sleep(3600) }", "init_by_lua error"},
      {"lua_init_timeout 200ms; init_worker_by_lua_block { while true do end }",
       "it has not ended within 200 ms"},
      {"lua_init_timeout 200ms; init_worker_by_lua_block { ngx.sleep(3600) }",
       "it has not ended within 200 ms"},
      {"init_by_lua_block { local t = {} for i = 1, 1e12 do t[i] = { i } end }", "not enough memory"},
      {"init_by_lua_block { local s = 'x' while true do s = s .. s end }", "not enough memory"},
      {"init_worker_by_lua_block { local t = {} for i = 1, 1e12 do t[i] = { i } end }",
       "not enough memory"},
      {"init_by_lua_block { error('no luck') }", "no luck"},
      {"init_by_lua_block { error({}) }", ""},
      {"init_by_lua_block { error() }", ""},
      {"init_by_lua_block { local function f() return f() + 1 end f() }", "stack overflow"},
      {"init_worker_by_lua_block { error('no luck') }", "no luck"},
      {"init_by_lua_block { require 'nowhere' }", "module 'nowhere' not found"},
      {"init_by_lua_file lua/nowhere.lua;", "lua/nowhere.lua"},
  };
  for (const auto& [line, reason] : cases) {
    const auto refused = control.apply(
        {{"nginx.conf", "lua_max_memory 24m;\n" + line +
                            "\nserver { listen 8080; return 200 two; }"}});
    EXPECT_EQ(refused.status, 422) << line << refused.body;
    EXPECT_NE(reason_of(refused).find(reason), std::string::npos) << line << refused.body;
    EXPECT_NE(reason_of(refused).find("nginx.conf:"), std::string::npos) << line << refused.body;
    EXPECT_EQ(test_client(node).get("/").body, "one") << line;
  }
  EXPECT_EQ(history(control).size(), 1u);
  EXPECT_EQ(control.apply({{"nginx.conf", "server { listen 8080; return 200 two; }"}}).status, 200);
  EXPECT_EQ(test_client(node).get("/").body, "two");
  EXPECT_EQ(node.stop(), 0);
}

TEST(fault, of_many_applies_at_once_one_wins_and_the_others_are_told) {
  test_node node({.conf = "server { listen 8080; return 200 zero; }"});
  constexpr int many = 8;
  std::vector<control_client::answer> answers(many);
  std::vector<std::thread> threads;
  for (int i = 0; i < many; ++i) {
    threads.emplace_back([&, i] {
      answers[static_cast<std::size_t>(i)] = control_client(node.data()).apply(app_of("n" + std::to_string(i)), "expect=1");
    });
  }
  for (auto& each : threads) each.join();
  std::string winner;
  for (int i = 0; i < many; ++i) {
    const auto& got = answers[static_cast<std::size_t>(i)];
    if (got.status == 200) {
      EXPECT_EQ(winner, "");
      winner = "n" + std::to_string(i);
      EXPECT_EQ(got.body["release"], 2);
      continue;
    }
    EXPECT_EQ(got.status, 409) << got.body;
    EXPECT_EQ(got.body["error"], "overtaken");
    EXPECT_EQ(got.body["active"], 2);
  }
  EXPECT_EQ(test_client(node).get("/").body, both(winner));
  // Without an expectation all of them come to be, one after the other.
  threads.clear();
  for (int i = 0; i < many; ++i) {
    threads.emplace_back([&, i] {
      answers[static_cast<std::size_t>(i)] = control_client(node.data()).apply(app_of("m" + std::to_string(i)));
    });
  }
  for (auto& each : threads) each.join();
  control_client control(node.data());
  const json releases = history(control);
  ASSERT_EQ(releases.size(), 2u + many);
  for (std::size_t i = 0; i + 1 < releases.size(); ++i) EXPECT_EQ(releases[i]["parent"], releases[i + 1]["release"]);
  for (int i = 0; i < many; ++i) {
    const auto& got = answers[static_cast<std::size_t>(i)];
    ASSERT_EQ(got.status, 200) << got.body;
    if (got.body["release"] == releases[0]["release"]) {
      EXPECT_EQ(test_client(node).get("/").body, both("m" + std::to_string(i)));
    }
  }
  EXPECT_EQ(node.stop(), 0);
}

TEST(fault, garbage_on_the_control_socket_changes_nothing) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  test_node node({.conf = "server { listen 8080; return 200 one; }"});
  control_client control(node.data());
  const std::string head = " HTTP/1.1\r\nHost: a\r\n";
  std::vector<std::string> sent = {
      "",
      "\r\n\r\n",
      "\0\0\0\0",
      "GET",
      "GET / HTTP/9.9\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      std::string(200'000, 'x'),
      "GET /" + std::string(200'000, 'x') + head + "\r\n",
      "GET /v1/status" + head + std::string(100'000, 'y') + ": z\r\n\r\n",
      "POST /v1/releases" + head + "Content-Length: 99999999999999999999\r\n\r\n",
      "POST /v1/releases" + head + "Content-Length: 9999999999999\r\n\r\n",
      "POST /v1/releases" + head + "Content-Length: -1\r\n\r\n",
      "POST /v1/releases" + head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      "POST /v1/releases" + head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
      "POST /v1/releases" + head + "Content-Length: 0\r\n\r\n",
      "POST /v1/releases?expect=x" + head + "Content-Length: 0\r\n\r\n",
      "POST /v1/releases?expect=99999999999999" + head + "Content-Length: 0\r\n\r\n",
      "POST /v1/rollback?to=-1" + head + "Content-Length: 0\r\n\r\n",
      "POST /v1/rollback?to=99" + head + "Content-Length: 0\r\n\r\n",
      "POST /v1/contents/missing" + head + "Content-Length: 4\r\n\r\n\xdd\xff\xff\xff",
      "GET /v1/releases/0" + head + "\r\n",
      "GET /v1/releases/1/files/../../../../etc/passwd" + head + "\r\n",
      "GET /v1/releases/1/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd" + head + "\r\n",
      "GET /v1/diff?from=1&to=99" + head + "\r\n",
      "GET /v1/diff" + head + "\r\n",
      "GET /v1/../../etc/passwd" + head + "\r\n",
      "DELETE /v1/releases/1" + head + "\r\n",
      "PUT /v1/config/%00%ff" + head + "Content-Length: 1\r\n\r\n1",
      "PUT /v1/config/" + std::string(5000, 'k') + head + "Content-Length: 1\r\n\r\n1",
      "PUT /v1/config/k?type=number" + head + "Content-Length: 3\r\n\r\nabc",
      "BREW /v1/status" + head + "\r\n",
  };
  const std::string bundle = bundle_of(app_of("whole"));
  const auto post = [&](const std::string& body) {
    return "POST /v1/releases" + head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  for (std::size_t size = 0; size < bundle.size(); size += 1 + size / 8) sent.push_back(post(bundle.substr(0, size)));
  sent.push_back(post(bundle + "x"));
  sent.push_back(post(std::string(100'000, '\x91')));  // arrays in arrays
  for (int i = 0; i < 100; ++i) {
    std::string noise(std::uniform_int_distribution<std::size_t>(1, 400)(random), '\0');
    for (char& c : noise) c = static_cast<char>(random());
    sent.push_back(i % 2 == 0 ? noise : post(noise));
  }
  for (const std::string& bytes : sent) {
    test_connection wire(control.where());
    wire.send(bytes);
    wire.finish_sending();
    const std::string answer = wire.read_rest();
    EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 4") ||
                answer.starts_with("HTTP/1.1 505"))
         << bytes.substr(0, 100) << '\n' << answer;
    EXPECT_EQ(answer.find("root:"), std::string::npos);
  }
  EXPECT_EQ(history(control).size(), 1u);
  EXPECT_EQ(control.ask("GET", "/v1/config").body, json::array());
  // One byte of a good bundle changed: it is refused, or it is another release that is whole.
  std::size_t refused = 0;
  for (int i = 0; i < 200; ++i) {
    std::string bytes = bundle;
    const auto at = std::uniform_int_distribution<std::size_t>(0, bytes.size() - 1)(random);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
    const auto got = control.ask("POST", "/v1/releases", bytes);
    if (got.status == 200) continue;
    ++refused;
    EXPECT_TRUE(got.status == 400 || got.status == 422) << got.status << got.body << " at " << at;
  }
  EXPECT_GT(refused, 100u);
  EXPECT_EQ(control.apply(app_of("last")).status, 200);
  EXPECT_EQ(test_client(node).get("/").body, both("last"));
  EXPECT_EQ(node.stop(), 0);
}

TEST(fault, a_client_that_stops_in_the_middle_of_a_bundle_holds_up_nobody) {
  test_node node({.conf = "server { listen 8080; return 200 one; }"});
  control_client control(node.data());
  const std::string bundle = bundle_of(app_of("half"));
  const std::string head =
      "POST /v1/releases HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bundle.size()) + "\r\n\r\n";
  std::vector<test_connection> open;
  for (std::size_t part = 0; part < 10; ++part) {
    test_connection wire(control.where());
    wire.send(head + bundle.substr(0, bundle.size() * part / 10));
    if (part % 3 == 0) wire.reset();
    else if (part % 3 == 1) wire.close();
    else open.push_back(std::move(wire));
  }
  EXPECT_EQ(control.apply(app_of("whole")).status, 200);
  EXPECT_EQ(test_client(node).get("/").body, both("whole"));
  EXPECT_EQ(history(control).size(), 2u);
  EXPECT_EQ(node.stop(), 0);  // With some of them still there.
}

TEST(fault, contents_that_were_not_sent_are_named) {
  test_node node({.conf = "server { listen 8080; return 200 one; }"});
  control_client control(node.data());
  // Its list of contents is the last thing in it.
  const std::string whole = bundle_of({{"nginx.conf", "server { listen 8080; return 200 two; }"}, {"z", "text"}});
  const auto contents = whole.rfind("\x92\xc4");
  ASSERT_NE(contents, std::string::npos);
  std::string without = whole.substr(0, contents) + '\x90';
  const auto refused = control.ask("POST", "/v1/releases", without);
  EXPECT_EQ(refused.status, 400) << refused.body;
  EXPECT_EQ(refused.body["error"], "missing_contents");
  EXPECT_EQ(refused.body["file"], "nginx.conf");
  EXPECT_EQ(test_client(node).get("/").body, "one");
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
