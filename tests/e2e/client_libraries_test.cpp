// SPDX-License-Identifier: Apache-2.0
//
// What the clients and helpers that OpenResty's users know stand on, as small scripts of our own: a
// multipart reader over ngx.req.socket, a lock over a shared dictionary with threads that wait, an
// HTTP client over cosockets.
#include <gtest/gtest.h>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/test_peer.hpp"

namespace troupe::tests {
namespace {

// Reads a form part by part and never holds more than a piece of it.
const std::string form_reader = R"lua(
local form = {}
form.__index = form

function form.new(piece)
  local kind = ngx.req.get_headers().content_type or ""
  local boundary = kind:match('boundary="?([^";]+)')
  if not boundary then return nil, "no boundary" end
  local sock, err = ngx.req.socket()
  if not sock then return nil, err end
  sock:settimeout(20000)
  local self = setmetatable({ sock = sock, piece = piece }, form)
  self.next_part = sock:receiveuntil("--" .. boundary)
  local skipped, err = self.next_part()
  if not skipped then return nil, "preamble: " .. err end
  self.next_part = sock:receiveuntil("\r\n--" .. boundary)
  return self
end

-- "head", table | "data", text | "end" | "eof" | nil, error
function form:read()
  if self.inside then
    local data, err = self.next_part(self.piece)
    if data then return "data", data end
    if err then return nil, err end
    self.inside = false
    return "end"
  end
  local tail, err = self.sock:receive(2)
  if not tail then return nil, err end
  if tail == "--" then
    while true do
      local rest, err = self.sock:receiveany(1024)
      if not rest then
        if err == "closed" then return "eof" end
        return nil, err
      end
    end
  end
  local head = {}
  while true do
    local line, err = self.sock:receive()
    if not line then return nil, err end
    if line == "" then break end
    head[#head + 1] = line
  end
  self.inside = true
  return "head", head
end

return form
)lua";

const std::string lock = R"lua(
local lock = {}

function lock.take(zone, key, seconds)
  local step, waited = 0.001, 0
  while true do
    local ok, err = zone:add("lock:" .. key, true, 30)
    if ok then return waited end
    if err ~= "exists" then return nil, err end
    if waited >= seconds then return nil, "timeout" end
    ngx.sleep(step)
    waited = waited + step
    step = math.min(step * 2, 0.05)
  end
end

function lock.give(zone, key) return zone:delete("lock:" .. key) end

return lock
)lua";

const std::string http_client = R"lua(
local http = {}

function http.request(sock, method, path, headers, body)
  local lines = { method .. " " .. path .. " HTTP/1.1", "Host: a" }
  for name, value in pairs(headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  if type(body) == "string" then lines[#lines + 1] = "Content-Length: " .. #body end
  return sock:send({ table.concat(lines, "\r\n"), "\r\n\r\n", type(body) == "string" and body or "" })
end

local function head(sock)
  local line, err = sock:receive()
  if not line then return nil, err end
  local answer = { status = tonumber(line:match("^HTTP/1%.%d (%d%d%d)")), headers = {} }
  while true do
    line, err = sock:receive()
    if not line then return nil, err end
    if line == "" then return answer end
    local name, value = line:match("^([^:]+):%s*(.-)%s*$")
    answer.headers[name:lower()] = value
  end
end
http.head = head

function http.answer(sock, method)
  local answer, err
  repeat
    answer, err = head(sock)
    if not answer then return nil, err end
  until answer.status >= 200
  local headers, pieces = answer.headers, {}
  if method == "HEAD" or answer.status == 204 or answer.status == 304 then
    answer.body = ""
  elseif headers["transfer-encoding"] == "chunked" then
    while true do
      local line, err = sock:receive()
      if not line then return nil, err end
      local size = tonumber(line:match("^%x+"), 16)
      if size > 0 then
        pieces[#pieces + 1], err = sock:receive(size)
        if err then return nil, err end
      end
      local rest, err = sock:receive()
      if rest ~= "" then return nil, err or "bad chunk" end
      if size == 0 then break end
    end
    answer.body = table.concat(pieces)
  elseif headers["content-length"] then
    local size = tonumber(headers["content-length"])
    answer.body = size > 0 and assert(sock:receive(size)) or ""
  else
    answer.body = assert(sock:receive("*a"))
  end
  return answer
end

return http
)lua";

std::string part(const std::string& name, const std::string& bytes) {
  return "--XyZ\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + bytes + "\r\n";
}

}  // namespace

TEST(client_libraries, a_form_is_read_part_by_part_while_it_arrives) {
  test_node node({.conf = R"(
    server { listen 8080; client_max_body_size 10m;
      location / { content_by_lua_block {
        local form, err = require("form").new(1000)
        if not form then ngx.status = 400 ngx.say(err) return end
        local size = 0
        while true do
          local what, value = form:read()
          if not what then ngx.say("failed: ", value) return end
          if what == "eof" then break end
          if what == "head" then ngx.print(value[1]:match('name="([^"]*)'), "=") size = 0
          elseif what == "data" then size = size + #value
          else ngx.say(size) end
        end } } })",
                  .files = {{"lua/form.lua", form_reader}}});
  test_client client(node);
  const header_list kind = {{"Content-Type", "multipart/form-data; boundary=XyZ"}};
  const std::string tricky = "\r\n--Xy\r\n--XyY\r\n-\r\n--X" + std::string(5000, '-');
  const std::string body = part("one", "1") + part("none", "") + part("tricky", tricky) +
                           part("large", std::string(1000000, 'x')) + "--XyZ--\r\n";
  const std::string expected =
      "one=1\nnone=0\ntricky=" + std::to_string(tricky.size()) + "\nlarge=1000000\n";
  EXPECT_EQ(client.post("/", body, kind).body, expected);
  EXPECT_EQ(client.post("/", body, kind).body, expected);  // The connection is kept.
  // Cut anywhere, it arrives all the same.
  const std::string small =
      part("one", "1") + part("two", "\r\n--XyZ"[0] + std::string("2")) + "--XyZ--\r\n";
  const std::string message = client.message("POST", "/", small, kind);
  for (std::size_t cut = message.size() - small.size(); cut < message.size(); cut += 7) {
    test_connection wire = client.connect();
    wire.send(std::string_view(message).substr(0, cut));
    wire.send(std::string_view(message).substr(cut));
    EXPECT_EQ(wire.read_response().body, "one=1\ntwo=2\n") << cut;
  }
  EXPECT_EQ(client.post("/", "x").body, "no boundary\n");
  test_connection vanishing = client.connect();
  vanishing.send(std::string_view(message).substr(0, message.size() - 12));
  vanishing.finish_sending();
  EXPECT_EQ(vanishing.read_response().body.substr(0, 6), "one=1\n");
  EXPECT_EQ(client.post("/", body, kind).body, expected);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(client_libraries, a_lock_lets_one_in_while_others_wait_on_every_shard) {
  test_node node({.shards = 2,
                  .conf = R"(
    lua_shared_dict locks 1m;
    server { listen 8080;
      location /work { content_by_lua_block {
        local lock, zone = require "lock", ngx.shared.locks
        local function work()
          assert(lock.take(zone, "work", 30))
          local inside = zone:incr("inside", 1, 0)
          if inside > 1 then zone:set("broken", true) end
          ngx.sleep(0.001)
          zone:incr("inside", -1)
          zone:incr("done", 1, 0)
          lock.give(zone, "work")
        end
        local threads = {}
        for i = 1, 4 do threads[i] = ngx.thread.spawn(work) end
        for i = 1, 4 do assert(ngx.thread.wait(threads[i])) end
        ngx.say("worked") } }
      location /held { content_by_lua_block {
        local lock, zone = require "lock", ngx.shared.locks
        assert(lock.take(zone, "held", 1))
        ngx.say(lock.take(zone, "held", 0.01))
        lock.give(zone, "held")
        ngx.say(lock.take(zone, "held", 0)) } }
      location /seen { content_by_lua_block {
        ngx.say(ngx.shared.locks:get("done"), " ", tostring(ngx.shared.locks:get("broken"))) } } })",
                  .files = {{"lua/lock.lua", lock}}});
  test_client client(node);
  std::vector<pending_response> working;
  for (int i = 0; i < 10; ++i) working.push_back(client.start("GET /work"));
  for (auto& one : working) EXPECT_EQ(one.response().body, "worked\n");
  EXPECT_EQ(client.get("/seen").body, "40 nil\n");
  EXPECT_EQ(client.get("/held").body, "niltimeout\n0\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(client_libraries, an_http_client_keeps_its_connection_through_all_kinds_of_answers) {
  test_node node({.conf = R"(
    server { listen @port@;
      location = / { content_by_lua_block {
        local http = require "http"
        local function connect()
          local sock = ngx.socket.tcp()
          sock:settimeout(20000)
          assert(sock:connect("127.0.0.1", ngx.var.server_port, { pool = "own", pool_size = 2 }))
          return sock
        end
        local sock = connect()
        local function ask(method, path, headers, body)
          assert(http.request(sock, method, path, headers, body))
          local answer = assert(http.answer(sock, method))
          ngx.say(method, " ", path, " ", answer.status, " ", #answer.body > 20 and #answer.body or answer.body)
        end
        ask("GET", "/chunked") ask("GET", "/length") ask("HEAD", "/length") ask("GET", "/none")
        ask("POST", "/back", nil, "body") ask("POST", "/back", nil, ("b"):rep(300000))
        -- A body that waits for leave to come.
        assert(http.request(sock, "POST", "/back", { Expect = "100-continue", ["Content-Length"] = 5 }))
        local leave = assert(http.head(sock))
        assert(sock:send("after"))
        ngx.say(leave.status, " ", http.answer(sock, "POST").body)
        -- Chunks of our own.
        assert(http.request(sock, "POST", "/back", { ["Transfer-Encoding"] = "chunked" }))
        assert(sock:send({ "3\r\nabc\r\n", { "1", "\r\n", "d\r\n" }, "0\r\n\r\n" }))
        ngx.say(http.answer(sock, "POST").body)
        -- A pipeline.
        for i = 1, 3 do assert(http.request(sock, "GET", "/number?" .. i)) end
        for i = 1, 3 do ngx.print(http.answer(sock, "GET").body, " ") end
        ngx.say(tostring(sock:setkeepalive()))
        sock = connect()
        ngx.say("reused ", sock:getreusedtimes())
        ask("GET", "/close")
        ngx.say(sock:receive())
      } }
      location /chunked { content_by_lua_block { for i = 1, 3 do ngx.print("piece") ngx.flush(true) end } }
      location /length { content_by_lua_block { ngx.header.content_length = 5 ngx.print("exact") } }
      location /none { content_by_lua_block { ngx.status = 204 ngx.send_headers() } }
      location /back { content_by_lua_block { ngx.req.read_body()
        ngx.print(ngx.req.get_body_data() or io.open(ngx.req.get_body_file()):read("*a")) } }
      location /number { content_by_lua_block { ngx.print(ngx.var.args) } }
      location /close { keepalive_timeout 0; content_by_lua_block { ngx.print("to the end") } } })",
                  .files = {{"lua/http.lua", http_client}}});
  EXPECT_EQ(test_client(node).get("/").body,
            "GET /chunked 200 piecepiecepiece\n"
            "GET /length 200 exact\n"
            "HEAD /length 200 \n"
            "GET /none 204 \n"
            "POST /back 200 body\n"
            "POST /back 200 300000\n"
            "100 after\n"
            "abcd\n"
            "1 2 3 1\n"
            "reused 1\n"
            "GET /close 200 to the end\n"
            "nilclosed\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(client_libraries, an_http_client_says_what_a_peer_broke) {
  const auto ask = [](const std::string& sent) {
    test_peer peer([&](test_connection& with) {
      with.read_until("\r\n\r\n");
      with.send(sent);
    });
    test_node node({.conf = R"(
      server { listen 8080; lua_socket_log_errors off; location / { content_by_lua_block {
        local http, sock = require "http", ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", )" +
                            std::to_string(peer.address().port) + R"())
        http.request(sock, "GET", "/")
        local answer, err = http.answer(sock, "GET")
        ngx.print(answer and answer.body or err) } } })",
                    .files = {{"lua/http.lua", http_client}}});
    return test_client(node).get("/").body;
  };
  EXPECT_EQ(ask(""), "closed");
  EXPECT_EQ(ask("HTTP/1.1 200 OK\r\nContent-Le"), "closed");
  EXPECT_EQ(ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), "closed");
  EXPECT_EQ(ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n"), "bad chunk");
  EXPECT_EQ(ask("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end"), "to the end");
}

}  // namespace troupe::tests
