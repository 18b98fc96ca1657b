// SPDX-License-Identifier: Apache-2.0
//
// examples/code-from-mysql against a real MariaDB: what is stored is served, and what is stored
// anew; the store goes and comes back. Its client by itself.
#include <gtest/gtest.h>

#include "tests/support/mariadb.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

const std::filesystem::path example = source_folder() / "examples/code-from-mysql";

/// The store as the example's page says to make it, with a user that has a password.
std::unique_ptr<mariadb> make_store() {
  auto store = std::make_unique<mariadb>();
  store->sql(
      "CREATE DATABASE handlers; CREATE USER handlers@'%' IDENTIFIED BY 'secret'; "
      "GRANT SELECT, EXECUTE ON handlers.* TO handlers@'%'");
  store->sql("source " + (example / "schema.sql").string(), "handlers");
  return store;
}

test_node_options app(const mariadb& store, const std::string& password = "secret") {
  return {.shards = 2,
          .app = example,
          .flags = {"--log-level", "info"},
          .environment = {{"MYSQL_SOCKET", store.socket().string()}, {"MYSQL_PASSWORD", password}}};
}

void publish(const mariadb& store, const std::string& path, const std::string& code) {
  store.sql("INSERT INTO handlers (path, code) VALUES ('" + path + "', \"" + code +
                "\") ON DUPLICATE KEY UPDATE code = VALUES(code)",
            "handlers");
}

/// Asks until this is so, as news take a moment to arrive.
bool comes_true(const std::function<bool()>& what) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!what()) {
    if (std::chrono::steady_clock::now() > end) return false;
  }
  return true;
}

}  // namespace

TEST(code_from_mysql, serves_what_is_stored_and_its_successors) {
  auto store = make_store();
  publish(*store, "/greet", "ngx.say('one ', ngx.var.uri)");
  test_node node(app(*store));
  test_client client(node);
  EXPECT_EQ(client.get("/greet").body, "one /greet\n");
  EXPECT_EQ(client.get("/greet").header("X-Handler-Version"), "1");
  EXPECT_EQ(client.get("/it's%20absent").status, 404);

  // A change is seen without a restart; one that does not compile is not taken.
  publish(*store, "/greet", "ngx.sleep(0.001) ngx.say('two')");
  EXPECT_TRUE(comes_true([&] { return client.get("/greet").body == "two\n"; }));
  const auto version = client.get("/greet").header("X-Handler-Version");
  publish(*store, "/greet", "ngx.say('");
  EXPECT_TRUE(comes_true([&] {
    return client.get("/greet").body == "two\n" &&
           node.log().find("does not compile") != std::string::npos;
  }));
  EXPECT_EQ(client.get("/greet").header("X-Handler-Version"), version);
  store->sql("DELETE FROM handlers", "handlers");
  EXPECT_TRUE(comes_true([&] { return client.get("/greet").status == 404; }));
  publish(*store, "/greet", "ngx.say('new')");
  EXPECT_TRUE(comes_true([&] { return client.get("/greet").body == "new\n"; }));
  EXPECT_EQ(node.stop(), 0);
  for (const std::string& line : node.log_lines(level::warn)) {
    EXPECT_NE(line.find("does not compile"), std::string::npos) << line;
  }
}

TEST(code_from_mysql, goes_on_while_the_store_is_down) {
  auto store = make_store();
  publish(*store, "/greet", "ngx.say('one')");
  test_node node(app(*store));
  test_client client(node);
  EXPECT_EQ(client.get("/greet").body, "one\n");
  store->kill();
  EXPECT_TRUE(node.logs("the store is away"));
  EXPECT_EQ(client.get("/greet").body, "one\n");
  const response absent = client.get("/absent");
  EXPECT_EQ(absent.status, 503);
  EXPECT_NE(absent.body.find("store of the handlers cannot be reached"), std::string::npos);

  // A node that starts now has nothing to serve, and says so; it recovers by itself.
  test_node cold(app(*store));
  test_client cold_client(cold);
  EXPECT_EQ(cold_client.get("/greet").status, 503);
  store->start();
  EXPECT_TRUE(comes_true([&] { return cold_client.get("/greet").body == "one\n"; }));
  EXPECT_TRUE(node.logs("the store is back"));
  publish(*store, "/greet", "ngx.say('two')");
  EXPECT_TRUE(comes_true([&] { return client.get("/greet").body == "two\n"; }));
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(cold.stop(), 0);
  for (const test_node* each : {&node, &cold}) {
    for (const std::string& line : each->log_lines(level::warn)) {
      EXPECT_NE(line.find("store"), std::string::npos) << line;
    }
  }
}

TEST(code_from_mysql, has_a_client_that_reads_what_the_server_says) {
  const mariadb store;
  store.sql(
      "CREATE DATABASE d; CREATE USER u@'%' IDENTIFIED BY 'right'; GRANT ALL ON d.* TO u@'%'; "
      "CREATE USER open@'%'; CREATE USER other@'%' IDENTIFIED VIA unix_socket");
  test_node node({.conf = "lua_package_path '" + example.string() + R"lua(/lua/?.lua;;';
      lua_socket_log_errors off;
      server { listen @port@; location / { content_by_lua_block {
        local mysql = require "mysql"
        local port = )lua" +
                          std::to_string(store.port()) + R"lua(
        local function connect(user, password, more)
          local db = assert(mysql:new())
          db:set_timeout(10000)
          local options = { port = port, user = user, password = password, database = user == "u" and "d" or nil }
          for k, v in pairs(more or {}) do options[k] = v end
          local ok, err, code, state = db:connect(options)
          if not ok then ngx.say("refused: ", err, " ", code, " ", state) end
          return ok and db
        end
        connect("u", "wrong")
        connect("u", "")
        connect("u", "right", { database = "none" })
        connect("u", "right", { charset = "klingon" })
        connect("other", "")
        ngx.say("open: ", connect("open"):query("SELECT 'in' AS x")[1].x)
        local db = connect("u", "right")
        ngx.say("version: ", (db:server_ver():find("MariaDB")) ~= nil)
        db:query("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, name TEXT, price DECIMAL(5,2), big BIGINT)")
        local done = db:query("INSERT INTO t (name, price, big) VALUES ('a', 1.25, 9007199254740993), (NULL, -3, 1), ('', 0, 0)")
        ngx.say(done.affected_rows, " ", done.insert_id, " ", done.warning_count, " ", done.message)
        for _, row in ipairs(db:query("SELECT * FROM t ORDER BY id")) do
          ngx.say(row.id + 0, " ", type(row.id), " [", tostring(row.name), "] ", row.price, " ", type(row.price), " ", row.big, " ", type(row.big))
        end
        ngx.say(#db:query("SELECT * FROM t WHERE id > 100"))
        local none, err, code, state = db:query("SELEC")
        ngx.say(none, " ", code, " ", state, " ", (err:find("SQL syntax")) ~= nil)
        -- The connection goes on after an error, also after one within the rows; packets of each size of length.
        for _, size in ipairs { 0, 1, 250, 251, 65535, 65536, 900000 } do
          local row = db:query("SELECT REPEAT('x', " .. size .. ") AS long_one, '" .. ("y"):rep(math.min(size, 70000)) .. "' AS sent")[1]
          if #row.long_one ~= size or #row.sent ~= math.min(size, 70000) then ngx.say("wrong size: ", size) end
        end
        none, err, code, state = db:query("SELECT 1 UNION ALL SELECT (SELECT 1 UNION ALL SELECT 2)")
        ngx.say(err, " ", code, " ", state)
        ngx.say(select(2, db:query("SELECT 1; SELECT 2")) ~= nil)
        assert(db:set_keepalive(10000, 5))
        db = connect("u", "right")
        ngx.say("reused: ", db:get_reused_times(), " ", db:query("SELECT 7 AS seven")[1].seven)
        db:close()
        db = connect("u", "right", { path = ")lua" +
                          store.socket().string() + R"lua(" })
        ngx.say("socket: ", db:get_reused_times(), " ", db:query("SELECT 8 AS eight")[1].eight)
        ngx.say(db:query("SELECT REPEAT('x', 2000000) AS x"))
        db:close()
        ngx.say(db:query("SELECT 1"))
      } } })lua"});
  const std::string body = test_client(node).get("/").body;
  const std::string expected =
      R"(refused: Access denied for user 'u'@'localhost' (using password: YES) 1045 28000
refused: Access denied for user 'u'@'localhost' (using password: NO) 1045 28000
refused: Access denied for user 'u'@'%' to database 'none' 1044 42000
refused: charset 'klingon' is not supported nil nil
refused: Access denied for user 'other'@'localhost' 1698 28000
open: in
version: true
3 1 0 &Records: 3  Duplicates: 0  Warnings: 0
1 number [a] 1.25 number 9007199254740993 string
2 number [userdata: NULL] -3 number 1 string
3 number [] 0 number 0 string
0
nil 1064 42000 true
Subquery returns more than 1 row 1242 21000
true
reused: 1 7
socket: 0 8
nilpacket too large: 2000004
nilfailed to send the query: closed
)";
  EXPECT_EQ(body, expected);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

}  // namespace troupe::tests
