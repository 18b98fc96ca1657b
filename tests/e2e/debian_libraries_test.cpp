// SPDX-License-Identifier: Apache-2.0
//
// OpenResty's libraries, unmodified as Debian installs them (nginx.redis, nginx.md5 … and
// resty.lrucache), required by the names that their authors gave them, against real servers.
#include <gtest/gtest.h>

#include <utility>

#include "tests/support/real_peer.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

/// What this code says, run as content; the node must then leave cleanly and have logged nothing.
std::string answer(const std::string& code, const header_list& headers = {},
                   const std::string& conf = {}) {
  test_node node({.conf = conf + "server { listen @port@; location / { content_by_lua_block { " +
                          code + " } } }"});
  std::string body = test_client(node).get("/", headers).body;
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
  return body;
}

real_peer redis_server(const std::vector<std::string>& more = {}) {
  return real_peer([&](const std::string& port) {
    std::vector<std::string> command{"redis-server", "--port",   port, "--save", "",
                                     "--bind",       "127.0.0.1"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  });
}

std::string port_of(const real_peer& peer) {
  return std::to_string(peer.address().port);
}

}  // namespace

TEST(debian_libraries, are_found_by_the_names_of_their_authors) {
  EXPECT_EQ(answer(R"(
      for _, name in ipairs { "redis", "redis.connector", "redis.sentinel", "memcached", "string", "md5", "sha",
          "sha1", "sha224", "sha256", "sha384", "sha512", "aes", "random", "dns.resolver", "websocket.server",
          "websocket.client", "websocket.protocol", "cookie", "kafka.client", "kafka.producer", "lrucache",
          "lrucache.pureffi" } do
        local ok, found = pcall(require, "resty." .. name)
        if not ok then ngx.say(name, ": ", found) end
      end
      -- Ours, though Debian's lua-resty-core lies on the path.
      ngx.say(package.searchpath("resty.core", package.path) ~= nil, " ", package.preload["resty.core"] ~= nil,
              " ", require("resty.core").version ~= nil)
      ngx.say((select(2, pcall(require, "resty.no_such")):find("nginx/no_such.lua", 1, true)) ~= nil))"),
            "true true true\ntrue\n");
}

TEST(debian_libraries, of_the_app_come_before_those_of_the_system) {
  test_node node({.conf = "server { listen @port@; location / { content_by_lua_block { "
                          "ngx.say(require('resty.redis').whose, require('resty.lrucache').whose, "
                          "require('resty.sub.own').whose) } } }",
                  .files = {{"lua/resty/redis.lua", "return { whose = 'the app' }"},
                            {"lua/resty/lrucache.lua", "return { whose = ' has ' }"},
                            {"lua/resty/sub/own.lua", "return { whose = 'its own' }"}}});
  EXPECT_EQ(test_client(node).get("/").body, "the app has its own\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(debian_libraries, redis_with_a_password_pipelines_and_transactions) {
  const real_peer server = redis_server({"--requirepass", "secret"});
  EXPECT_EQ(answer("local port = " + port_of(server) + R"(
      local redis = require "resty.redis"
      local red = redis:new()
      red:set_timeout(10000)
      assert(red:connect("127.0.0.1", port))
      ngx.say(select(2, red:get("k")))
      ngx.say((select(2, red:auth("wrong")):match("^%S+")))
      ngx.say(red:auth("secret"))
      ngx.say(tostring(red:get("absent") == ngx.null))

      red:init_pipeline()
      red:set("a", "1") red:incr("a") red:lpush("a", "x") red:get("a")
      local all = assert(red:commit_pipeline())
      ngx.say(all[1], " ", all[2], " ", tostring(all[3][1]), " ", (all[3][2]:match("^%S+")), " ", all[4])

      ngx.say(red:multi()) ngx.say(red:set("b", "old")) ngx.say(red:get("b"))
      local done = assert(red:exec())
      ngx.say(done[1], " ", done[2])

      -- Another writes what is watched: nothing is done.
      local other = redis:new()
      assert(other:connect("127.0.0.1", port)) assert(other:auth("secret"))
      assert(red:watch("b")) assert(other:set("b", "theirs"))
      assert(red:multi()) assert(red:set("b", "ours"))
      ngx.say(tostring(red:exec() == ngx.null), " ", other:get("b"))

      assert(red:hmset("h", { one = 1, two = 2 }))
      local hash = red:array_to_hash(red:hgetall("h"))
      ngx.say(hash.one, hash.two)
      ngx.say(#red:eval("return { 1, { 2, 3 }, 'x' }", 0)[2])
      local big = ("0123456789"):rep(100000)
      assert(red:set("big", big)) ngx.say(red:get("big") == big)

      assert(red:set_keepalive(10000, 10))
      assert(red:connect("127.0.0.1", port))
      ngx.say(red:get_reused_times(), " ", red:ping())
      local connector = require("resty.redis.connector").new({ host = "127.0.0.1", port = port, password = "secret", db = 1 })
      local far = assert(connector:connect())
      ngx.say(tostring(far:get("b") == ngx.null)))"),
            "NOAUTH Authentication required.\nWRONGPASS\nOK\ntrue\n"
            "OK 2 false WRONGTYPE 2\nOK\nQUEUED\nQUEUED\nOK old\ntrue theirs\n12\n2\ntrue\n1 "
            "PONG\ntrue\n");
}

TEST(debian_libraries, redis_subscribes_in_one_thread_and_publishes_in_another) {
  const real_peer server = redis_server();
  EXPECT_EQ(
      answer("local port = " + port_of(server) + R"(
      local redis = require "resty.redis"
      local hears, says = redis:new(), redis:new()
      hears:set_timeout(10000)
      assert(hears:connect("127.0.0.1", port)) assert(says:connect("127.0.0.1", port))
      ngx.say(table.concat(assert(hears:subscribe("news")), " "))
      assert(hears:psubscribe("we*"))
      local reader = ngx.thread.spawn(function()
        for _ = 1, 3 do ngx.say(table.concat(assert(hears:read_reply()), " ")) end
      end)
      for i = 1, 2 do assert(says:publish("news", "item " .. i) == 1) end
      says:publish("weather", "rain")
      ngx.thread.wait(reader)
      ngx.say(select(2, hears:set_keepalive()))
      assert(hears:unsubscribe("news")) assert(hears:punsubscribe("we*"))
      hears:set_timeout(1)
      ngx.say(select(2, hears:read_reply())))",
             {}, "lua_socket_log_errors off;"),
      "subscribe news 1\nmessage news item 1\nmessage news item 2\npmessage we* weather rain\n"
      "subscribed state\nnot subscribed\n");
}

TEST(debian_libraries, memcached_in_every_kind_of_call) {
  const real_peer server([](const std::string& port) {
    return std::vector<std::string>{"memcached", "-u", "nobody", "-l", "127.0.0.1",
                                    "-p",        port, "-U",     "0"};
  });
  EXPECT_EQ(answer(R"(
      local store = assert(require("resty.memcached"):new())
      store:set_timeout(10000)
      assert(store:connect("127.0.0.1", )" +
                   port_of(server) + R"())
      ngx.say(store:set("a key", "v 1", 0, 7))
      ngx.say(store:get("a key"))
      ngx.say(store:add("a key", "no"))
      ngx.say(store:set("n", 41)) ngx.say(store:incr("n", 1)) ngx.say(store:decr("n", 2))
      ngx.say(store:append("n", "!")) ngx.say((store:get("n")))
      local value, flags, unique = store:gets("n")
      ngx.say(store:cas("n", "new", unique)) ngx.say(store:cas("n", "newer", unique))
      local many = store:get { "a key", "n", "absent" }
      ngx.say(many["a key"][1], " ", many.n[1], " ", tostring(many.absent))
      ngx.say(store:delete("n")) ngx.say(tostring((store:get("n"))))
      ngx.say(store:touch("a key", 100))
      ngx.say(#store:stats() > 10, " ", store:version() ~= nil)
      assert(store:set_keepalive(10000, 1)))"),
            "1\nv 17\nnilNOT_STORED\n1\n42\n40\n1\n40!\n1\nnilEXISTS\nv 1 new nil\n1\nnil\n1\ntrue "
            "true\n");
}

TEST(debian_libraries, digests_ciphers_and_random_bytes) {
  EXPECT_EQ(answer(R"(
      local text = require "resty.string"
      local function digest(name, ...)
        local it = require("resty." .. name):new()
        for _, part in ipairs { ... } do it:update(part) end
        ngx.say(name, " ", text.to_hex(it:final()))
      end
      digest("md5", "tro", "upe") digest("sha1", "troupe") digest("sha224", "troupe")
      digest("sha256", "troupe") digest("sha384", "") digest("sha512", "troupe")
      ngx.say(text.to_hex("\0\127\255"), " ", text.to_hex(""), " | ", text.atoi("42"), " ", text.atoi("-1"), " ", text.atoi(""),
              " ", text.atoi("4x"), " ", text.atoi("92233720368547758079"))
      local aes = require "resty.aes"
      local box = assert(aes:new("secret", "saltsalt", aes.cipher(256, "cbc"), aes.hash.sha256, 3))
      ngx.say(box:decrypt(box:encrypt("to be or not to be")), " ", #box:encrypt("x"), " ", tostring(box:decrypt("not encrypted")))
      ngx.say(text.to_hex(aes:new(("k"):rep(16), nil, aes.cipher(128, "cbc"), { iv = ("i"):rep(16) }):encrypt("hello")))
      local random = require "resty.random"
      ngx.say(#random.bytes(16), " ", #random.bytes(32, true), " ", random.bytes(16) ~= random.bytes(16))
      -- Compiled too.
      local sum = 0
      for i = 1, 3000 do sum = sum + #text.to_hex("ab") + text.atoi("7") end
      ngx.say(sum))"),
            "md5 63b9cdd17f8abe30fef51cb7ffcd26d3\n"
            "sha1 15b357bb7e797f34271592d2dba7154d6afc01fa\n"
            "sha224 661485c7af5e9569f6e6aaeab7bbd1f81d9294e8de9a41b272df198c\n"
            "sha256 61932bd26b356b24886c9a7195f2f7bffbc10cc77c5db22968c45c1ac50d57ea\n"
            "sha384 "
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2"
            "f14898b95b\n"
            "sha512 "
            "3f133911c10728496e207dca9e3574257bc309629660733034f72858865ee032dc7010bda3de41626611f3"
            "b0592e74ec51a290d7d19d0fd8cd52b25c4b9c7e1b\n"
            "007fff  | 42 -1 -1 -1 -1\n"
            "to be or not to be 16 nil\n"
            "a597fad1c9b3932effa04eee528c97c5\n"
            "16 32 true\n"
            "33000\n");
}

TEST(debian_libraries, dns_resolver_asks_over_udp_and_over_tcp_when_cut) {
  // dnsmasq answers from what it is told, and from nothing else.
  const real_peer server([](const std::string& port) {
    std::vector<std::string> command{"/usr/sbin/dnsmasq",
                                     "--keep-in-foreground",
                                     "--conf-file=/dev/null",
                                     "--pid-file=",
                                     "--no-resolv",
                                     "--no-hosts",
                                     "--listen-address=127.0.0.1",
                                     "--bind-interfaces",
                                     "--port=" + port,
                                     "--host-record=stage.test,192.0.2.7,2001:db8::7",
                                     "--cname=alias.test,stage.test",
                                     "--mx-host=stage.test,mail.test,5",
                                     "--address=/#/",
                                     "--txt-record=stage.test,to be"};
    for (int i = 0; i < 60; ++i)
      command.push_back("--txt-record=many.test,entry number " + std::to_string(i));
    return command;
  });
  EXPECT_EQ(answer("local port = " + port_of(server) + R"(
      local resolver = require "resty.dns.resolver"
      local r = assert(resolver:new { nameservers = { { "127.0.0.1", port } }, timeout = 10000 })
      local function show(name, type)
        local all, err = r:query(name, { qtype = r["TYPE_" .. type] })
        if not all then return ngx.say(name, ": ", err) end
        if all.errcode then return ngx.say(name, ": ", all.errcode, " ", all.errstr) end
        for _, each in ipairs(all) do
          ngx.say(each.name, " ", each.type, " ", each.address or each.cname or each.exchange or each.txt)
        end
      end
      show("stage.test", "A") show("stage.test", "AAAA") show("alias.test", "A") show("stage.test", "MX")
      show("stage.test", "TXT") show("nowhere.example", "A")
      -- Too long for a datagram: it asks again by TCP.
      ngx.say(#assert(r:query("many.test", { qtype = r.TYPE_TXT })))
      ngx.say(#assert(r:tcp_query("stage.test"))))"),
            "stage.test 1 192.0.2.7\nstage.test 28 2001:db8:0:0:0:0:0:7\n"
            "alias.test 5 stage.test\nstage.test 1 192.0.2.7\nstage.test 15 mail.test\n"
            "stage.test 16 to be\nnowhere.example: 3 name error\n60\n1\n");
}

TEST(debian_libraries, lrucache_evicts_and_expires) {
  EXPECT_EQ(answer(R"(
      for _, kind in ipairs { "resty.lrucache", "resty.lrucache.pureffi" } do
        local cache = assert(require(kind).new(2))
        cache:set("a", { 1 }) cache:set("b", 2) cache:get("a") cache:set("c", 3)
        ngx.say(cache:get("a")[1], " ", tostring(cache:get("b")), " ", (cache:get("c")))
        cache:set("a", "short", 0.001)
        ngx.sleep(0.01)
        ngx.say(tostring(cache:get("a")), " ", (select(2, cache:get("a"))))
        cache:delete("c") ngx.say(tostring(cache:get("c")))
      end)"),
            "1 nil 3\nnil short\nnil\n1 nil 3\nnil short\nnil\n");
}

TEST(debian_libraries, cookies_are_read_and_set) {
  test_node node({.conf = R"(server { listen @port@; location / { content_by_lua_block {
      local cookie = assert(require("resty.cookie"):new())
      assert(cookie:set { key = "who", value = "troupe", path = "/", httponly = true })
      assert(cookie:set { key = "what", value = "actors" })
      ngx.say(cookie:get("one"), " ", cookie:get_all().two, " ", tostring(cookie:get("three")))
  } } })"});
  const response said = test_client(node).get("/", {{"Cookie", "one=1; two=zwei"}});
  EXPECT_EQ(said.body, "1 zwei nil\n");
  EXPECT_EQ(said.header("Set-Cookie"), "who=troupe; Path=/; HttpOnly, what=actors");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

}  // namespace troupe::tests
