// SPDX-License-Identifier: Apache-2.0
//
// Another binary takes over from a running node: `troupe upgrade` and USR2. The other binary is a
// copy of, or a script around, the one under test.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/troupe_command.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

constexpr std::string_view listen_tcp = "listen 8080;";

std::string app(std::string_view listen = listen_tcp) {
  return "server { " + std::string(listen) + R"(
    location /pid { content_by_lua_block { ngx.print(ngx.worker.pid()) } }
    location /shards { content_by_lua_block { ngx.print(ngx.worker.count()) } }
    location /value { content_by_lua_block { ngx.print(troupe.config.get("greeting")) } }
    location /echo { content_by_lua_block {
      local ws = assert(require("resty.websocket.server"):new{ timeout = 20000 })
      while true do
        local data, kind = ws:recv_frame()
        if not data or kind == "close" then return ws:send_close() end
        ws:send_text(ngx.worker.pid() .. " " .. data)
      end } }
  })";
}

// What the node's processes leave behind is this one's to wait for, and to end.
class upgrade_test : public testing::Test {
 protected:
  void SetUp() override { prctl(PR_SET_CHILD_SUBREAPER, 1); }
  void TearDown() override {
    for (const pid_t pid : processes_) {
      if (!wait_for_exit(pid, std::chrono::milliseconds(0))) {
        kill(pid, SIGKILL);
        wait_for_exit(pid, patience);
      }
    }
  }
  json upgrade(const test_node& node, std::vector<std::string> more = {}, int status = 0) {
    more.insert(more.begin(), "upgrade");
    more.emplace_back("--json");
    const finished done = ask(node, more);
    EXPECT_EQ(done.status, status) << done.out << done.err;
    json said = json::parse(done.out, nullptr, false);
    if (said.contains("pid")) processes_.push_back(said["pid"].get<pid_t>());
    return said;
  }
  int stop(pid_t pid, int number = SIGQUIT) {
    kill(pid, number);
    return wait_for_exit(pid, patience).value_or(-1);
  }
  static std::string pid_text(pid_t pid) { return std::to_string(pid); }
  // A program at this path.
  static std::string script(const test_node& node, std::string_view text) {
    const auto path = node.data() / "other";
    write_file(path, "#!/bin/sh\n" + std::string(text));
    chmod(path.c_str(), 0755);
    return path.string();
  }
  std::vector<pid_t> processes_;
};

// Connects anew for each request until it ends.
class client_loop {
 public:
  explicit client_loop(endpoint to) {
    for (int i = 0; i < 2; ++i) {
      threads_.emplace_back([this, to] {
        while (!ended_) {
          test_connection connection(to);  // Refused: the test fails.
          connection.send("GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
          const response answer = connection.read_response();
          ++done_;
          if (answer.status != 200) {
            ++failed_;
            ADD_FAILURE() << "status " << answer.status << ": " << answer.error;
            return;
          }
        }
      });
    }
  }
  ~client_loop() { end(); }
  void end() {
    ended_ = true;
    for (auto& each : threads_) {
      if (each.joinable()) each.join();
    }
  }
  // Waits until so many more requests were answered.
  void pass(int count) const {
    const int from = done_;
    while (done_ < from + count && failed_ == 0) std::this_thread::yield();
  }
  [[nodiscard]] int failed() const { return failed_; }

 private:
  std::atomic<bool> ended_ = false;
  std::atomic<int> done_ = 0;
  std::atomic<int> failed_ = 0;
  std::vector<std::thread> threads_;
};

std::string frame(std::string_view payload) {  // A masked text frame; the mask is zeros.
  std::string out{'\x81'};
  out += static_cast<char>(0x80 | payload.size());
  out.append(4, '\0');
  return out.append(payload);
}

std::string hear(test_connection& from) {
  const std::string head = from.read_exactly(2);
  return head.size() < 2 ? "" : from.read_exactly(static_cast<unsigned char>(head[1]));
}

}  // namespace

TEST_F(upgrade_test, no_connection_is_lost_over_five_of_them) {
  for (const int shards : {1, 2}) {
    test_node node({.shards = shards, .conf = app()});
    const endpoint where = node.listener();
    client_loop clients(where);
    clients.pass(50);
    pid_t serving = node.pid();
    for (int i = 0; i < 5; ++i) {
      const json done = upgrade(node);
      ASSERT_TRUE(done.contains("pid")) << done;
      EXPECT_EQ(done["old_pid"], serving);
      EXPECT_EQ(done["version"], done["old_version"]);
      if (serving == node.pid())
        EXPECT_EQ(node.wait(), 0);
      else
        EXPECT_EQ(wait_for_exit(serving, patience), 0);
      serving = done["pid"].get<pid_t>();
      clients.pass(50);
      EXPECT_EQ(test_client(where).get("/pid").body, pid_text(serving));
    }
    clients.end();
    EXPECT_EQ(clients.failed(), 0);
    EXPECT_EQ(stop(serving), 0);
    EXPECT_EQ(node.log_lines(level::warn), no_lines);
  }
}

TEST_F(upgrade_test, what_is_open_goes_on_in_the_old_process) {
  test_node node({.conf = app()});
  const endpoint where = node.listener();
  test_client web(where);
  auto socket = web.connect();
  socket.send(
      "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  EXPECT_EQ(socket.read_head().status, 101);
  auto kept = web.connect();
  const std::string request = "GET /pid HTTP/1.1\r\nHost: a\r\n\r\n";
  kept.send(request);
  EXPECT_EQ(kept.read_response().body, pid_text(node.pid()));
  auto fresh = web.connect();
  socket.send(frame("before"));
  EXPECT_EQ(hear(socket), pid_text(node.pid()) + " before");

  const pid_t next = upgrade(node)["pid"].get<pid_t>();
  // Who was connected is answered once more, and told to connect anew.
  for (test_connection* each : {&kept, &fresh}) {
    EXPECT_TRUE(each->send(request));
    const response answer = each->read_response();
    EXPECT_EQ(answer.status, 200) << answer.error;
    EXPECT_EQ(answer.header("Connection"), "close");
    EXPECT_TRUE(each->is_closed_by_peer());
  }
  EXPECT_EQ(test_client(where).get("/pid").body, pid_text(next));
  socket.send(frame("after"));
  EXPECT_EQ(hear(socket), pid_text(node.pid()) + " after");
  EXPECT_TRUE(node.is_running());
  socket.close();
  EXPECT_EQ(node.wait(), 0);
  EXPECT_EQ(stop(next), 0);
}

TEST_F(upgrade_test, release_history_and_values_are_there_afterwards) {
  test_node node({.conf = app()});
  const endpoint where = node.listener();
  node.edit("lua/new.lua", "return 1\n");
  EXPECT_EQ(ask(node, {"apply", node.folder().string(), "-m", "second"}).status, 0);
  EXPECT_EQ(ask(node, {"config", "set", "greeting", "hello"}).status, 0);
  // What the folder holds by now is not what serves.
  node.edit_conf("server { listen 8080; return 500; }");
  const std::string before = ask(node, {"releases", "--json"}).out;
  const pid_t next = upgrade(node)["pid"].get<pid_t>();
  EXPECT_EQ(node.wait(), 0);
  EXPECT_EQ(test_client(where).get("/value").body, "hello");
  EXPECT_EQ(json::parse(ask(node, {"status", "--json"}).out)["pid"], next);
  const json after = json::parse(ask(node, {"releases", "--json"}).out);
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after[0]["message"], "second");
  EXPECT_EQ(after[0]["state"], "active");
  EXPECT_EQ(ask(node, {"rollback"}).status, 0);
  EXPECT_EQ(read_file(node.data() / "troupe.pid"), pid_text(next) + "\n");
  EXPECT_NE(read_file(node.data() / "audit.log").find("\"upgrade\""), std::string::npos);
  EXPECT_EQ(stop(next), 0);
}

TEST_F(upgrade_test, a_binary_that_does_not_serve_leaves_the_old_one_serving) {
  test_node node({.conf = app()});
  client_loop clients(node.listener());
  const std::string own = binary_under_test();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {(node.data() / "nothing").string(), "No such file"},
      {node.folder() / "nginx.conf", "Permission denied"},
      {script(node, "exit 7\n"), "ended with status 7"}};
  auto refused = [&](const std::string& binary, const std::string& reason) {
    const json said = upgrade(node, {"--binary", binary}, 1);
    EXPECT_EQ(said.value("error", ""), "upgrade_failed");
    EXPECT_NE(said.value("reason", "").find(reason), std::string::npos) << said;
    clients.pass(20);
    EXPECT_EQ(test_client(node).get("/pid").body, pid_text(node.pid()));
    EXPECT_EQ(read_file(node.data() / "troupe.pid"), pid_text(node.pid()) + "\n");
    EXPECT_EQ(ask(node, {"config", "set", "greeting", "still"}).status, 0);
  };
  for (const auto& [binary, reason] : cases) refused(binary, reason);
  // One that knows nothing of upgrades finds the folder taken.
  refused(script(node, "unset TROUPE_INHERITED\nexec " + own + " \"$@\"\n"), "ended with status 1");
  // One that knows refuses with its reason.
  refused(
      script(node, "exec " + own + " run --data " + (node.data() / "elsewhere").string() + "\n"),
      "refuses to start: the lock that was handed over is not that of");
  refused(script(node, "kill -9 $$\n"), "ended by signal 9");
  // One that has taken the control socket's name already.
  refused(script(node, "rm '" + (node.data() / "control.sock").string() + "'\nexit 7\n"),
          "ended with status 7");
  clients.end();
  EXPECT_EQ(clients.failed(), 0);
  // And then one that does.
  const pid_t next = upgrade(node, {"--binary", own})["pid"].get<pid_t>();
  EXPECT_EQ(node.wait(), 0);
  EXPECT_EQ(stop(next), 0);
}

// Whether a process that is no child of this one goes within patience: what it has open is closed with its
// last thread, also if nobody asks how it ended.
bool has_gone(pid_t pid) {
  const std::filesystem::path proc = "/proc/" + std::to_string(pid);
  const auto until = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < until) {
    // It may go while it is looked at.
    std::error_code error;
    int threads = 0;
    for (std::filesystem::directory_iterator task(proc / "task", error), end; !error && task != end;
         task.increment(error))
      ++threads;
    std::string stat;
    std::getline(std::ifstream(proc / "stat"), stat);
    if (stat.empty() || (threads <= 1 && stat.find(") Z") != std::string::npos)) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST_F(upgrade_test, the_folder_is_free_when_the_new_one_has_ended_and_the_old_one_still_drains) {
  test_node node({.conf = app()});
  test_connection socket(node.listener());
  socket.send("GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  ASSERT_EQ(socket.read_head().status, 101);
  const pid_t next = upgrade(node)["pid"].get<pid_t>();
  ASSERT_EQ(kill(next, SIGKILL), 0);
  EXPECT_TRUE(has_gone(next));
  process again({binary_under_test(), "run", node.folder().string(), "--data",
                 node.data().string(), "--port", "0"});
  EXPECT_TRUE(again.wait_for([](const std::string& out, const std::string&) {
    return out.find("listening on") != std::string::npos;
  }));
  again.signal(SIGTERM);
  EXPECT_EQ(again.wait(), 0);
  node.signal(SIGTERM);
  EXPECT_EQ(node.wait(), 0);
}

TEST_F(upgrade_test, the_number_of_shards_may_change) {
  test_node node({.shards = 1, .conf = app()});
  const endpoint where = node.listener();
  client_loop clients(where);
  pid_t serving = node.pid();
  std::string conf = read_file(node.folder() / "nginx.conf");
  for (const char count : {'2', '1', '3', '1'}) {
    conf.replace(conf.find("worker_processes ") + 17, 1, 1, count);
    node.edit("nginx.conf", conf);
    EXPECT_EQ(ask(node, {"apply", node.folder().string()}).status, 0);
    const json done = upgrade(node);
    ASSERT_TRUE(done.contains("pid")) << done;
    if (serving == node.pid())
      EXPECT_EQ(node.wait(), 0);
    else
      EXPECT_EQ(wait_for_exit(serving, patience), 0);
    serving = done["pid"].get<pid_t>();
    EXPECT_EQ(test_client(where).get("/shards").body, std::string(1, count));
    clients.pass(200);
  }
  clients.end();
  EXPECT_EQ(clients.failed(), 0);
  EXPECT_EQ(stop(serving), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST_F(upgrade_test, unix_sockets_are_taken_over) {
  test_node node({.shards = 2, .conf = app("listen unix:a.sock;")});
  const endpoint where = node.listener();
  client_loop clients(where);
  clients.pass(20);
  const pid_t next = upgrade(node)["pid"].get<pid_t>();
  EXPECT_EQ(node.wait(), 0);
  clients.pass(20);
  EXPECT_EQ(test_client(where).get("/pid").body, pid_text(next));
  clients.end();
  EXPECT_EQ(clients.failed(), 0);
  EXPECT_EQ(stop(next), 0);
}

TEST_F(upgrade_test, usr2_does_it_too) {
  test_node node({.conf = app()});
  const endpoint where = node.listener();
  client_loop clients(where);
  clients.pass(20);
  node.signal(SIGUSR2);
  EXPECT_EQ(node.wait(), 0);
  const pid_t next = json::parse(ask(node, {"status", "--json"}).out)["pid"].get<pid_t>();
  processes_.push_back(next);
  EXPECT_NE(next, node.pid());
  clients.pass(20);
  clients.end();
  EXPECT_EQ(clients.failed(), 0);
  EXPECT_EQ(stop(next), 0);
}

TEST_F(upgrade_test, as_with_nginx_both_accept_until_one_is_told_to_quit) {
  test_node node({.conf = app("listen @port@;"), .as_nginx = true});
  const endpoint where = node.listener();
  const auto pid_file = node.folder() / "logs/nginx.pid";
  const auto old_file = node.folder() / "logs/nginx.pid.oldbin";
  auto serving_by_file = [&] { return std::atoi(read_file(pid_file).c_str()); };
  client_loop clients(where);
  clients.pass(20);
  auto change = [&] {
    node.signal(SIGUSR2);
    EXPECT_TRUE(node.logs("has taken over"));
    const pid_t next = serving_by_file();
    processes_.push_back(next);
    EXPECT_EQ(read_file(old_file), pid_text(node.pid()) + "\n");
    return next;
  };
  // Back: the new one quits, the old one goes on and has its file again.
  const pid_t first = change();
  EXPECT_NE(first, node.pid());
  clients.pass(50);
  kill(first, SIGQUIT);
  EXPECT_TRUE(node.logs("process " + std::to_string(first) + " ended with status 0"));
  for (int i = 0; i < 5000 && std::filesystem::exists(old_file); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(serving_by_file(), node.pid());
  clients.pass(50);
  node.edit("logs/error.log", "");
  // Forth: the old one quits.
  const pid_t second = change();
  clients.pass(50);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(old_file));
  clients.pass(50);
  EXPECT_EQ(test_client(where).get("/pid").body, pid_text(second));
  clients.end();
  EXPECT_EQ(clients.failed(), 0);
  EXPECT_EQ(stop(second), 0);
}

}  // namespace troupe::tests
