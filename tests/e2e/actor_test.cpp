// SPDX-License-Identifier: Apache-2.0
//
// Actors that Lua makes: spawn, messages, monitors, and their way from one release to the next.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/resident_memory.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/troupe_command.hpp"

namespace troupe::tests {
namespace {

constexpr const char* counter = R"(
  local counter = {}
  function counter.init(from) return { count = from or 0 } end
  function counter.handle(state, what, who)
    if what == "add" then state.count = state.count + 1 end
    if what == "get" then troupe.send(who, "one", state.count) end
    if what == "fail" then error("it was asked to") end
    if what == "stop" then return state, "stop", who end
    return state
  end
  function counter.code_change(old) return { count = old.count + 100 } end
  return counter
)";

constexpr const char* conf = R"(
  lua_shared_dict names 1m;
  server { listen 8080;
    location = /spawn { content_by_lua_block {
      local address = troupe.spawn(ngx.var.arg_module or "counter", tonumber(ngx.var.arg_from))
      ngx.shared.names:set("counter", address)
      ngx.say(address) } }
    location = /send { content_by_lua_block {
      ngx.say(troupe.send(ngx.shared.names:get("counter"), ngx.var.arg_what, ngx.var.arg_who)) } }
    location = /get { content_by_lua_block {
      troupe.send(ngx.shared.names:get("counter"), "get", troupe.self())
      ngx.say(troupe.receive(10)) } }
    location = /watch { content_by_lua_block {
      troupe.monitor(ngx.shared.names:get("counter"))
      ngx.say("watching") ngx.flush(true)
      ngx.say(troupe.receive(60)) } }
  })";

test_node_options app(std::string module = counter) {
  return {.conf = conf, .files = {{"lua/counter.lua", std::move(module)}}};
}

TEST(actor, has_a_state_between_messages) {
  test_node node(app());
  test_client client(node);
  EXPECT_EQ(client.get("/spawn?from=5").body[0], '<');
  client.get("/send?what=add");
  client.get("/send?what=add");
  EXPECT_EQ(client.get("/get").body, "one7\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(actor, its_error_ends_it_alone_and_monitors_see_why) {
  test_node node(app());
  test_client client(node);
  const std::string address = client.get("/spawn").body;
  auto watching = client.start("GET /watch");
  // The monitor is set before "watching" is said; the answer's head waits for that.
  while (!watching.has_begun()) {
  }
  client.get("/send?what=fail");
  const std::string told = watching.response().body;
  EXPECT_EQ(told.find("watching\ndown" + address.substr(0, address.size() - 1)), 0u) << told;
  EXPECT_NE(told.find("it was asked to"), std::string::npos) << told;
  EXPECT_EQ(client.get("/send?what=add").body, "nilno such address\n");
  EXPECT_TRUE(node.logs("lua actor counter <"));
  EXPECT_EQ(node.stop(), 0);
}

TEST(actor, a_monitor_of_nobody_is_told_at_once) {
  test_node node(app());
  test_client client(node);
  client.get("/spawn");
  client.get("/send?what=stop&who=enough");
  EXPECT_NE(client.get("/watch").body.find("no such address"), std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(actor, moves_to_a_new_release_with_its_state_its_address_and_its_mail) {
  test_node node(app());
  test_client client(node);
  client.get("/spawn?from=1");
  node.edit("lua/counter.lua", std::string(counter) + "-- changed\n");
  EXPECT_EQ(ask(node, {"apply", node.folder().string()}).status, 0);
  EXPECT_EQ(client.get("/get").body, "one101\n");
  client.get("/send?what=add");
  EXPECT_EQ(ask(node, {"rollback"}).status, 0);
  EXPECT_EQ(client.get("/get").body, "one202\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(actor, without_code_change_it_ends_with_a_reason_that_its_monitors_see) {
  std::string module = counter;
  const auto at = module.find("  function counter.code_change");
  module.erase(at, module.find('\n', at) + 1 - at);
  test_node node(app(module));
  test_client client(node);
  client.get("/spawn");
  auto watching = client.start("GET /watch");
  while (!watching.has_begun()) {
  }
  node.edit("lua/counter.lua", module + "-- changed\n");
  EXPECT_EQ(ask(node, {"apply", node.folder().string()}).status, 0);
  const std::string told = watching.response().body;
  EXPECT_NE(told.find("down<"), std::string::npos) << told;
  EXPECT_NE(told.find("released"), std::string::npos) << told;
  EXPECT_EQ(node.stop(), 0);
}

TEST(actor, a_state_that_cannot_be_copied_is_the_reason_of_its_end) {
  test_node node(app(R"(
    return { init = function() return { f = function() end } end,
             handle = function(state) return state end,
             code_change = function(old) return old end })"));
  test_client client(node);
  client.get("/spawn");
  auto watching = client.start("GET /watch");
  while (!watching.has_begun()) {
  }
  node.edit("html/x", "");
  EXPECT_EQ(ask(node, {"apply", node.folder().string()}).status, 0);
  EXPECT_NE(watching.response().body.find("its state cannot move"), std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(actor, a_module_that_is_none_is_its_end) {
  test_node node(app("return 7"));
  test_client client(node);
  client.get("/spawn");
  EXPECT_TRUE(node.logs("the module counter has no function `handle`"));
  client.get("/spawn?module=nowhere");
  EXPECT_TRUE(node.logs("module 'nowhere' not found"));
  EXPECT_EQ(node.stop(), 0);
}

// A long life sees many who watch it and end first.
TEST(actor, forgets_monitors_that_have_ended) {
  test_node node({.conf = R"(lua_shared_dict names 1m; server { listen 8080;
      location = /spawn { content_by_lua_block { ngx.shared.names:set("counter", troupe.spawn("counter")) } }
      location = /watch { content_by_lua_block {
        local address = ngx.shared.names:get("counter")
        for _ = 1, 500000 do troupe.monitor(address) end
        ngx.print(collectgarbage("count")) } } })",
                  .files = {{"lua/counter.lua", counter}}});
  test_client client(node);
  client.get("/spawn");
  client.get("/watch");
  const auto before = resident_kilobytes(node.pid());
  for (int i = 0; i < 4; ++i) client.get("/watch");
  EXPECT_LT(resident_kilobytes(node.pid()), before + 16000);  // It was 8 MB more with each.
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace
}  // namespace troupe::tests
