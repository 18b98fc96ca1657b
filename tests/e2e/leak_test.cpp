// SPDX-License-Identifier: Apache-2.0
//
// A soak: requests that wait for everything there is, whose threads are killed, whose clients
// vanish, that fail and that end before their threads. What they held must be given back:
// descriptors, Lua's memory (coroutines with it) and the process's. Ends after `most_rounds` or
// `longest`.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/full_listener.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

constexpr int most_rounds = 150;
constexpr int warm_up = 25;
constexpr std::chrono::seconds longest{15};

test_node_options app(const full_listener& full) {
  return {.conf = R"(
    lua_shared_dict d 1m;
    server { listen @port@; lua_check_client_abort on; lua_socket_log_errors off;
      lua_socket_connect_timeout 60s; lua_socket_read_timeout 60s; lua_socket_send_timeout 60s;
      location /hold { content_by_lua_block { ngx.say("held") ngx.flush(true) ngx.sleep(60) } }
      location /short { content_by_lua_block { ngx.sleep(0.001) ngx.say("short") } }
      location /memory { content_by_lua_block {
        collectgarbage() collectgarbage() ngx.print(collectgarbage("count")) } }
      location /mix { content_by_lua_block {
        local how = ngx.var.arg_how
        local gate = require("ngx.semaphore").new()
        local function own()
          local sock = ngx.socket.tcp()
          assert(sock:connect("127.0.0.1", ngx.var.server_port))
          assert(sock:send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"))
          return sock
        end
        local waits = {
          function() ngx.sleep(60) end,
          function() gate:wait(60) end,
          function() own():receiveuntil("never")() end,
          function() local sock = own() sock:receive() sock:receiveany(1000000) sock:receive("*a") end,
          function() local sock = ngx.socket.tcp() sock:connect("127.0.0.1", )" + std::to_string(full.port()) + R"() end,
          function() local sock = own() for i = 1, 64 do sock:send(("x"):rep(65536)) end end,
          function() local sock = ngx.socket.udp() sock:setpeername("127.0.0.1", 9) sock:receive() sock:receive() sock:receive() end,
          function() local sock = ngx.socket.tcp() sock:connect("127.0.0.1", ngx.var.server_port) sock:setkeepalive(60000, 4) end,
          function() troupe.receive(60) end,
          function() ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(0.01) end)) end,
          function() coroutine.wrap(function() pcall(function() ngx.sleep(60) end) end)() end,
          function() coroutine.wrap(function() coroutine.yield() end)() error("of a thread") end,
        }
        if how == "done" or how == "vanish" then
          waits[#waits + 1] = function() ngx.location.capture("/short") end
        end
        local threads = {}
        for i, wait in ipairs(waits) do threads[i] = ngx.thread.spawn(wait) end
        ngx.timer.at(0, function() ngx.sleep(0.001) end)
        if how == "kill" then
          ngx.sleep(0.002)
          for i, thread in ipairs(threads) do ngx.thread.kill(thread) end
          ngx.say("killed")
        elseif how == "exit" then
          ngx.say("exit") ngx.exit(200)
        elseif how == "error" then
          error("on purpose")
        elseif how == "done" then
          ngx.thread.wait(threads[#threads])
          ngx.say("done") ngx.exit(200)
        else
          ngx.say("hanging") ngx.flush(true)
          ngx.sleep(60)
        end } } })",
          .log_level = "crit"};
}

std::size_t descriptors(pid_t pid) {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    (void)entry;
    ++count;
  }
  return count;
}

// Waits until there are no more than so many. @return how many there are at last
std::size_t settled_descriptors(pid_t pid, std::size_t most) {
  std::size_t count = 0;
  for (int i = 0; i < 2000 && (count = descriptors(pid)) > most; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return count;
}

std::size_t resident_kb(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; in >> word;) {
    std::size_t kb = 0;
    if (word == "VmRSS:" && in >> kb) return kb;
  }
  return 0;
}

void round(const test_node& node, test_client& client) {
  EXPECT_EQ(client.get("/mix?how=kill").body, "killed\n");
  EXPECT_EQ(client.get("/mix?how=exit").body, "exit\n");
  EXPECT_EQ(client.get("/mix?how=error").status, 500);
  EXPECT_EQ(client.get("/mix?how=done").body, "done\n");
  std::vector<pending_response> hanging;
  for (int i = 0; i < 3; ++i) hanging.push_back(client.start("GET /mix?how=vanish"));
  for (auto& one : hanging) one.connection().read_until("hanging\n");
  hanging[0].connection().reset();
  hanging[1].connection().close();
  hanging[2].connection().finish_sending();
  test_connection cut = test_client(node).connect();
  cut.send("POST /mix?how=kill HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
}

}  // namespace

TEST(leaks, nothing_is_left_of_requests_that_end_in_all_ways) {
  const full_listener full;
  test_node node(app(full));
  test_client client(node);
  const std::size_t open_at_first = descriptors(node.pid());
  for (int i = 0; i < warm_up; ++i) round(node, client);
  // The client's connection and the four of the pool may stay, on both sides.
  const std::size_t most_open = open_at_first + 9;
  EXPECT_LE(settled_descriptors(node.pid(), most_open), most_open);
  const double lua_kb = std::stod(client.get("/memory").body);
  const std::size_t resident = resident_kb(node.pid());
  const auto end = std::chrono::steady_clock::now() + longest;
  int rounds = 0;
  for (; rounds < most_rounds && std::chrono::steady_clock::now() < end; ++rounds) {
    round(node, client);
  }
  EXPECT_LE(settled_descriptors(node.pid(), most_open), most_open);
  const double lua_kb_after = std::stod(client.get("/memory").body);
  const std::size_t resident_after = resident_kb(node.pid());
  EXPECT_LT(lua_kb_after, lua_kb + 200) << rounds << " rounds";
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(resident_after, resident + 6000) << rounds << " rounds, at first " << resident;
#else
  (void)resident_after;
  (void)resident;
#endif
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::crit), no_lines);
}

}  // namespace troupe::tests
