// SPDX-License-Identifier: Apache-2.0
//
// Light threads and user coroutines where scripts make it hard: threads that are killed in each
// kind of wait, ends from inside of them, waits below functions that cannot wait, errors of any
// kind.
//
// Source   "ngx.thread.spawn", "ngx.thread.wait", "ngx.thread.kill" of ngx_lua's README.
#include <gtest/gtest.h>

#include "tests/support/full_listener.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/test_peer.hpp"

namespace troupe::tests {
namespace {

test_node_options with(const std::string& code, const std::string& more = {}) {
  return {.conf =
              "lua_shared_dict d 1m; server { listen @port@; lua_socket_log_errors off;"
              " location = / { content_by_lua_block { " +
              code + " } } " +
              "location = /sleep { content_by_lua_block { ngx.sleep(0.01) ngx.say('slept') } } " +
              more + " }",
          .log_level = "warn"};
}

std::string answer(const std::string& code, const std::string& more = {}) {
  test_node node(with(code, more));
  test_client client(node);
  const std::string body = client.get("/").body;
  EXPECT_EQ(client.get("/sleep").body, "slept\n");  // The node is as it was.
  EXPECT_EQ(node.stop(), 0);
  return body;
}

// A peer that says nothing until its client has gone.
void silent(test_connection& with) {
  with.read_rest();
}

}  // namespace

TEST(threads, can_be_killed_in_each_kind_of_wait) {
  test_peer peer(silent);
  const full_listener full;
  const std::string port = std::to_string(peer.address().port);
  const std::string code = R"(
      local semaphore = require "ngx.semaphore"
      local function connected()
        local sock = ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", )" +
                           port + R"())
        return sock
      end
      local udp = ngx.socket.udp() assert(udp:setpeername("127.0.0.1", 9))
      local gate = semaphore.new()
      local waits = {
        sleep = function() ngx.sleep(60) end,
        semaphore = function() gate:wait(60) end,
        connect = function() local s = ngx.socket.tcp() s:settimeout(60000) s:connect("127.0.0.1", )" + std::to_string(full.port()) + R"() end,
        receive = function() connected():receive() end,
        receiveany = function() connected():receiveany(10) end,
        receiveuntil = function() connected():receiveuntil("x")() end,
        send = function()
          local s = connected() s:settimeout(60000)
          while true do assert(s:send(("x"):rep(1000000))) end
        end,
        datagram = function() udp:settimeout(60000) udp:receive() end,
        thread = function() ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(0.01) end)) end,
        message = function() troupe.receive(60) end,
        coroutine = function()
          coroutine.wrap(function() coroutine.wrap(function() ngx.sleep(60) end)() end)()
        end,
        pcall = function() pcall(pcall, ngx.sleep, 60) end,
      }
      local names = {}
      for name in pairs(waits) do names[#names + 1] = name end
      table.sort(names)
      for _, name in ipairs(names) do
        local after = false
        local t = ngx.thread.spawn(function() waits[name]() after = true end)
        local first, err = ngx.thread.kill(t)
        local again, why = ngx.thread.kill(t)
        local waited, reason = ngx.thread.wait(t)
        if not first or again or waited or after then
          ngx.say(name, ": ", first, " ", err, " ", again, " ", why, " ", waited, " ", reason, " ", after)
        end
      end
      assert(gate:count() == -1 or gate:count() == 0, gate:count())
      gate:post()
      assert(gate:wait(0))
      ngx.say("done"))";
  EXPECT_EQ(answer(code), "done\n");
}

TEST(threads, that_wait_for_an_answer_of_their_own_server_cannot_be_killed) {
  EXPECT_EQ(answer(R"(
      local t = ngx.thread.spawn(function() return ngx.location.capture("/sleep").body end)
      ngx.say(ngx.thread.kill(t))
      ngx.say(pcall(ngx.exit, 200))
      ngx.print(select(2, ngx.thread.wait(t)))
      ngx.say(ngx.thread.kill(t)))"),
            "nilpending subrequests\nfalseattempt to abort with pending subrequests\nslept\n"
            "nilalready waited or killed\n");
}

TEST(threads, what_a_killed_one_had_resumed_does_not_run_on) {
  EXPECT_EQ(answer(R"(
      local ran = {}
      local gate = require("ngx.semaphore").new()
      local inner = coroutine.create(function() gate:wait(60) ran[1] = "inner" end)
      local t = ngx.thread.spawn(function() coroutine.resume(inner) ran[2] = "outer" end)
      assert(ngx.thread.kill(t))
      gate:post()
      ngx.sleep(0.005)
      ngx.say(coroutine.status(inner), " ", tostring(ran[1]), " ", tostring(ran[2])))"),
            "suspended nil nil\n");
}

TEST(threads, of_one_that_was_killed_run_on_and_nobody_else_can_wait_for_them) {
  EXPECT_EQ(answer(R"(
      local child
      local gate = require("ngx.semaphore").new()
      local t = ngx.thread.spawn(function()
        child = ngx.thread.spawn(function() gate:wait(60) ngx.say("child runs on") end)
        ngx.sleep(60)
      end)
      ngx.sleep(0.001)
      assert(ngx.thread.kill(t))
      ngx.say(pcall(ngx.thread.wait, child))
      ngx.say(ngx.thread.kill(child))
      gate:post())"),
            "falseonly the parent coroutine can wait on the thread\nnilkiller not parent\nchild "
            "runs on\n");
}

TEST(threads, tell_what_their_error_was) {
  EXPECT_EQ(
      answer(R"lua(
      local function of(f, later)
        local t = ngx.thread.spawn(function() if later then ngx.sleep(0.001) end f() end)
        return ngx.thread.wait(t)
      end
      for _, later in ipairs { false, true } do
        ngx.say(of(function() error("given", 0) end, later))
        local ok, given, message = of(function() error("given") end, later)
        ngx.say(given, " ", message:match(":%d+: (.*)"))
        ngx.say(type(select(2, of(function() error({ "table" }) end, later))))
        ngx.say(tostring(select(2, of(function() error() end, later))))
        ngx.say(tostring(select(2, of(function() error(true) end, later))))
        ngx.say((select(2, of(function() local t = "a local" return nil + 1 end, later)):match("attempt.*")))
      end)lua"),
      "falsegiven\ngiven given\ntable\nnil\ntrue\nattempt to perform arithmetic on a nil value\n"
      "falsegiven\ngiven given\ntable\nnil\ntrue\nattempt to perform arithmetic on a nil value\n");
}

TEST(threads, may_end_the_request_from_inside_and_from_user_coroutines) {
  test_node node({.conf = R"(
    server { listen 8080;
      location /exit { content_by_lua_block {
        local gate = require("ngx.semaphore").new()
        ngx.thread.spawn(function() gate:wait(60) end)
        ngx.thread.spawn(function() ngx.sleep(0.001) ngx.exit(403) end)
        gate:wait(60) ngx.say("never") } }
      location /exec { content_by_lua_block {
        ngx.thread.spawn(function() pcall(function() ngx.sleep(0.001) ngx.exec("/target", "a=1") end) end)
        ngx.sleep(60) } }
      location /redirect { content_by_lua_block {
        coroutine.wrap(function() coroutine.wrap(function() ngx.redirect("/there") end)() end)()
        ngx.say("never") } }
      location /error { content_by_lua_block {
        coroutine.wrap(function() error({}) end)() } }
      location /deep { content_by_lua_block {
        local function deep(n) return 1 + deep(n + 1) end
        ngx.say(pcall(deep, 1) and "no" or "overflow")
        local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. "x"] end
        ngx.say(pcall(function() return t.x end) and "no" or "overflow")
        local function tail(n) if n == 0 then return "a million" end return tail(n - 1) end
        ngx.say(tail(1000000))
        local function nested(n) if n == 0 then return "nested" end return coroutine.wrap(nested)(n - 1) end
        ngx.say(nested(10000))
        ngx.flush(true)
        ngx.thread.wait(ngx.thread.spawn(deep, 1))
        deep(1) } }
      location /target { internal; content_by_lua_block { ngx.say(ngx.var.args) } } })"});
  test_client client(node);
  EXPECT_EQ(client.get("/exit").status, 403);
  EXPECT_EQ(client.get("/exec").body, "a=1\n");
  EXPECT_EQ(client.get("/redirect").header("Location"), "/there");
  EXPECT_EQ(client.get("/error").status, 500);
  EXPECT_EQ(client.start("GET /deep").connection().read_until("nested\n").substr(0, 12),
            "HTTP/1.1 200");
  EXPECT_EQ(client.get("/exec").body, "a=1\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_TRUE(node.logs("lua entry thread aborted: runtime error: unknown reason"));
  EXPECT_TRUE(node.logs("stack overflow"));
}

TEST(threads, wait_across_what_lua_allows_and_say_what_is_in_the_way_otherwise) {
  EXPECT_EQ(answer(R"(
      local function wait() ngx.sleep(0.001) return "waited" end
      local mt = { __index = wait, __call = wait, __add = wait, __concat = wait, __lt = function() return wait() == "waited" end }
      local t, u = setmetatable({}, mt), setmetatable({}, mt)
      ngx.say(select(2, pcall(wait)), " ", select(2, xpcall(wait, debug.traceback)))
      ngx.say(t.x, " ", t(), " ", t + 1, " ", t .. "x", " ", t < u)
      for waited in function(_, before) if not before then return wait() end end do ngx.say(waited) end
      for waited in coroutine.wrap(function() coroutine.yield(wait()) end) do ngx.say(waited) end
      local function text(f) return (tostring((select(2, pcall(f)))):gsub("^.-%):%d+: ", "")) end
      local function each(f) return text(function() local replaced = string.gsub("a", "a", f) return replaced end) end
      ngx.say(text(function() table.sort({ 2, 1 }, function(a, b) wait() return a < b end) end))
      ngx.say(each(wait))
      ngx.say(text(function() return (ngx.re.gsub("a", "a", function() return wait() end)) end))
      ngx.say(each(function() ngx.exit(200) end))
      ngx.say(each(function() ngx.thread.spawn(wait) end))
      ngx.say(each(function() ngx.location.capture("/sleep") end))
      ngx.say(each(function()
        return select(2, coroutine.resume(coroutine.create(function() coroutine.yield("b") end))) end))
      ngx.say(each(function() return select(2, coroutine.resume(coroutine.create(wait))) end)))"),
            "waited waited\n"
            "waited waited waited waited true\n"
            "waited\n"
            "waited\n"
            "attempt to yield across C-call boundary: 'sort' is below and cannot wait\n"
            "attempt to yield across C-call boundary: 'gsub' is below and cannot wait\n"
            "waited\n"
            "attempt to yield across C-call boundary: 'gsub' is below and cannot wait\n"
            "attempt to yield across C-call boundary: 'gsub' is below and cannot wait\n"
            "attempt to yield across C-call boundary: 'gsub' is below and cannot wait\n"
            "b\n"
            "attempt to yield across C-call boundary\n");
}

TEST(threads, sockets_and_coroutines_of_another_request_are_refused) {
  test_peer peer(silent);
  test_node node({.conf = R"(
    server { listen 8080; lua_socket_log_errors off;
      location /keep { content_by_lua_block {
        local sock = ngx.socket.tcp() assert(sock:connect("127.0.0.1", )" +
                          std::to_string(peer.address().port) + R"())
        package.loaded.kept = { sock = sock, co = coroutine.create(function() end),
          thread = ngx.thread.spawn(function() while not package.loaded.go do ngx.sleep(0.001) end end) }
        ngx.say("kept") ngx.flush(true)
        while not package.loaded.go do ngx.sleep(0.001) end } }
      location /use { content_by_lua_block {
        local kept = package.loaded.kept
        ngx.say(pcall(kept.sock.send, kept.sock, "x"))
        ngx.say(pcall(kept.sock.receive, kept.sock))
        ngx.say(pcall(kept.sock.close, kept.sock))
        ngx.say(pcall(coroutine.resume, kept.co))
        ngx.say(pcall(ngx.thread.wait, kept.thread))
        package.loaded.go = true } }
      location /after { content_by_lua_block {
        local kept = package.loaded.kept
        ngx.say(pcall(kept.sock.send, kept.sock, "x"))
        ngx.say(pcall(coroutine.resume, kept.co))
        ngx.say(pcall(ngx.thread.wait, kept.thread)) } } })"});
  test_client client(node);
  auto keeping = client.start("GET /keep");
  EXPECT_EQ(keeping.connection().read_until("kept\n").substr(0, 12), "HTTP/1.1 200");
  EXPECT_EQ(client.get("/use").body,
            "falsebad request\nfalsebad request\nfalsebad request\n"
            "falseno co ctx found\nfalseonly the parent coroutine can wait on the thread\n");
  keeping.connection().read_until("0\r\n\r\n");
  EXPECT_EQ(client.get("/after").status, 200);
  EXPECT_EQ(node.stop(), 0);
}

TEST(threads, a_socket_or_semaphore_that_only_its_wait_holds_is_not_collected) {
  EXPECT_EQ(answer(R"(
      package.loaded.gate = require("ngx.semaphore").new()
      local function reader()
        local sock = ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", ngx.var.server_port))
        assert(sock:send("GET /late HTTP/1.0\r\n\r\n"))
        return sock:receiveuntil("!")
      end
      local function read() return reader()() end
      local threads = {}
      for i = 1, 20 do threads[i] = ngx.thread.spawn(read) end
      for i = 1, 20 do ngx.thread.spawn(function() return require("ngx.semaphore").new():wait(0.02) end) end
      ngx.sleep(0.001)
      for i = 1, 10 do collectgarbage() assert(ngx.thread.kill(threads[i])) end
      local filler = {}
      for i = 1, 1000 do filler[i] = ngx.socket.tcp() end
      package.loaded.gate:post(20)
      for i = 11, 20 do
        local ok, text = ngx.thread.wait(threads[i])
        ngx.print(text:match("%d%d%d"), text:match("late"), " ")
      end)",
                   "location = /late { content_by_lua_block { package.loaded.gate:wait(60) "
                   "ngx.print('late!') } }"),
            "200late 200late 200late 200late 200late 200late 200late 200late 200late 200late ");
}

}  // namespace troupe::tests
