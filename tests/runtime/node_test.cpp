// SPDX-License-Identifier: Apache-2.0
//
// The public class: nodes inside a program.
#include "troupe/node.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "runtime/conf/builder.hpp"
#include "runtime/conf/directive_reference.hpp"
#include "tests/support/endpoint.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"

namespace troupe {
namespace {

using tests::temp_dir;
using tests::test_client;

class app {
public:
  explicit app(const std::string& conf) { write(conf); }
  void write(const std::string& conf) { std::ofstream(file()) << conf; }
  [[nodiscard]] std::string file() const { return (folder_.path() / "nginx.conf").string(); }
  [[nodiscard]] node_options options() const {
    node_options made;
    made.app = file();
    made.port = 0;
    made.shards = 1;
    return made;
  }

private:
  temp_dir folder_;
};

std::string say(const std::string& text) {
  return "server { listen 127.0.0.1:80; location / { content_by_lua_block { ngx.say('" + text +
         "') } } }";
}

std::string get(const node& from) {
  const auto at = tests::endpoint::of(from.listeners().at(0).address);
  return test_client(at).get("/").body;
}

TEST(node, lives_beside_another_in_one_process) {
  const app first(say("one"));
  const app second(say("two"));
  node a(first.options());
  node b(second.options());
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(b.start());
  EXPECT_EQ(get(a), "one\n");
  EXPECT_EQ(get(b), "two\n");
  a.stop(stop_mode::graceful);
  EXPECT_EQ(a.wait(), 0);
  EXPECT_EQ(get(b), "two\n");
  b.stop(stop_mode::fast);
  EXPECT_EQ(b.wait(), 0);
}

TEST(node, serves_the_new_configuration_after_a_reload_and_the_old_one_after_a_bad_one) {
  app written(say("old"));
  node served(written.options());
  ASSERT_TRUE(served.start());
  EXPECT_EQ(get(served), "old\n");
  written.write(say("new"));
  ASSERT_TRUE(served.reload());
  EXPECT_EQ(get(served), "new\n");
  written.write("server { listen 127.0.0.1:80; location / { content_by_lua_block { x = = 1 } } }");
  const auto refused = served.reload();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().at(0).reason.find("unexpected symbol"), std::string::npos);
  EXPECT_EQ(get(served), "new\n");
}

TEST(node, names_the_address_that_somebody_else_has) {
  const app first(say("one"));
  node a(first.options());
  ASSERT_TRUE(a.start());
  const std::string taken = a.listeners().at(0).address;
  const app second("server { listen " + taken + "; return 200 'two'; }");
  node_options options = second.options();
  options.port.reset();
  node b(options);
  const auto started = b.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().at(0).reason,
            "bind() to " + taken + " failed (98: Address already in use)");
}

TEST(node, does_not_start_when_init_fails) {
  const app broken("init_by_lua_block { error('no') } server { listen 80; }");
  node a(broken.options());
  const auto started = a.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().at(0).reason.find("init_by_lua error"), std::string::npos);
}

TEST(node, lets_init_and_init_worker_wait_before_it_accepts) {
  const app waiting(
      "init_by_lua_block { ngx.sleep(0.001) a = 1 } init_worker_by_lua_block { ngx.sleep(0.001) b = a + 1 } "
      "server { listen 127.0.0.1:80; location / { content_by_lua_block { ngx.say(b) } } }");
  node a(waiting.options());
  ASSERT_TRUE(a.start());
  EXPECT_EQ(get(a), "2\n");
}

/// Trees of releases beside each other, and where they write.
class store {
public:
  release_source add(const std::string& name, const std::string& conf, const std::string& module = {}) {
    const auto tree = folder_.path() / "trees" / name;
    std::filesystem::create_directories(tree / "lua");
    std::ofstream(tree / "nginx.conf") << conf;
    if (!module.empty()) std::ofstream(tree / "lua/a.lua") << module;
    return {.digest = "sha256:" + name, .prefix = tree, .conf = "nginx.conf",
            .writable_prefix = folder_.path() / "data"};
  }
  [[nodiscard]] std::filesystem::path path() const { return folder_.path(); }
  node_options options(const release_source& first) {
    node_options made;
    made.release = first;
    made.release->number = 1;
    made.port = 0;
    made.shards = 2;
    return made;
  }

private:
  temp_dir folder_;
};

// Counts how often init and init_worker have run, over all releases.
std::string counted(const std::string& text) {
  return "lua_shared_dict runs 64k; init_by_lua_block { ngx.shared.runs:incr('init', 1, 0) } "
         "init_worker_by_lua_block { ngx.shared.runs:incr('worker', 1, 0) } " +
         ("server { listen 127.0.0.1:80; location / { content_by_lua_block { ngx.say('" + text +
          " ', ngx.shared.runs:get('init'), ' ', ngx.shared.runs:get('worker')) } } }");
}

TEST(node, goes_back_to_the_release_before_without_loading_it) {
  store kept;
  const release_source one = kept.add("one", counted("one"));
  const release_source two = kept.add("two", counted("two"));
  node served(kept.options(one));
  ASSERT_TRUE(served.start());
  EXPECT_EQ(get(served), "one 2 2\n");
  auto prepared = served.prepare(two);
  ASSERT_TRUE(prepared);
  EXPECT_FALSE(prepared->was_warm());
  EXPECT_EQ(get(served), "one 4 4\n");  // Nothing has changed.
  prepared->number(2);
  const swap_report report = served.activate(std::move(*prepared));
  EXPECT_TRUE(report.done);
  EXPECT_EQ(report.number, 2);
  EXPECT_EQ(report.previous, 1);
  EXPECT_GT(report.load_ms, 0);
  EXPECT_GT(report.swap_ms, 0);
  EXPECT_EQ(get(served), "two 4 4\n");
  auto live = served.releases();
  ASSERT_EQ(live.size(), 2u);
  EXPECT_EQ(live[0].number, 2);
  EXPECT_EQ(live[0].state, release_state::active);
  EXPECT_EQ(live[1].number, 1);
  EXPECT_EQ(live[1].state, release_state::warm);
  auto back = served.prepare(one);
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->was_warm());
  back->number(1);
  served.activate(std::move(*back));
  EXPECT_EQ(get(served), "one 4 6\n");
  live = served.releases();
  ASSERT_EQ(live.size(), 2u);
  EXPECT_EQ(live[0].number, 1);
  EXPECT_EQ(live[1].state, release_state::warm);
  // A third one sends the oldest away, which nobody uses.
  auto third = served.prepare(kept.add("three", say("three")));
  ASSERT_TRUE(third);
  served.activate(std::move(*third));
  EXPECT_EQ(get(served), "three\n");
  while (served.releases().size() != 2) {  // Its VM is closed in slices.
  }
  served.stop(stop_mode::graceful);
  EXPECT_EQ(served.wait(), 0);
}

TEST(node, leaves_nothing_of_a_release_that_is_not_put_in) {
  store kept;
  node served(kept.options(kept.add("one", say("one"))));
  ASSERT_TRUE(served.start());
  const std::string path = kept.path() / "data/app.sock";
  const release_source other = kept.add(
      "two", "init_worker_by_lua_block { ngx.timer.at(0, function() ngx.sleep(1000) end) ngx.sleep(0.01) } "
             "server { listen 127.0.0.1:80; listen unix:app.sock; return 200 two; }");
  {
    const auto dropped = served.prepare(other);
    ASSERT_TRUE(dropped);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(get(served), "one\n");
  EXPECT_EQ(served.releases().size(), 1u);
  EXPECT_EQ(served.listeners().size(), 1u);
  auto taken = served.prepare(other);
  ASSERT_TRUE(taken);
  served.activate(std::move(*taken));
  EXPECT_EQ(get(served), "two");
  EXPECT_TRUE(std::filesystem::exists(path));
}

// Their VMs are closed beside the shard, on whose wheel such timers are.
TEST(node, timers_of_a_release_that_never_serves_go_with_it) {
  store kept;
  node_options how = kept.options(kept.add("one", say("one")));
  how.shards = 2;
  node served(how);
  ASSERT_TRUE(served.start());
  const release_source other = kept.add(
      "two", "init_worker_by_lua_block { for i = 1, 50 do ngx.timer.every(0.001, function() end) end } " +
                 say("two"));
  for (int i = 0; i < 30; ++i) {
    const auto dropped = served.prepare(other);
    ASSERT_TRUE(dropped) << dropped.error().at(0).reason;
  }
  EXPECT_EQ(get(served), "one\n");
  auto taken = served.prepare(other);
  ASSERT_TRUE(taken);
  served.activate(std::move(*taken));
  EXPECT_EQ(get(served), "two\n");
  served.stop(stop_mode::fast);
  EXPECT_EQ(served.wait(), 0);
}

TEST(node, drops_a_prepared_release_when_it_stops) {
  store kept;
  node served(kept.options(kept.add("one", say("one"))));
  ASSERT_TRUE(served.start());
  auto prepared = served.prepare(kept.add("two", say("two")));
  ASSERT_TRUE(prepared);
  served.stop(stop_mode::fast);
  EXPECT_FALSE(served.activate(std::move(*prepared)).done);
  EXPECT_EQ(served.wait(), 0);
  EXPECT_FALSE(served.prepare(kept.add("three", say("three"))));
}

TEST(node, names_the_files_of_a_release_by_their_place_in_it) {
  store kept;
  node served(kept.options(kept.add("one", say("one"))));
  ASSERT_TRUE(served.start());
  const std::string init = "init_by_lua_block { require 'a' } server { listen 127.0.0.1:80; }";
  const auto refused = served.prepare(kept.add(std::string(64, 'b'), init, "local a = 1\n\nlocal = x\n"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(text(refused.error().at(0)), "lua/a.lua:3: '<name>' expected near '='");
  const auto thrown = served.prepare(kept.add(std::string(64, 'c'), init, "\nerror('no')"));
  ASSERT_FALSE(thrown);
  EXPECT_EQ(text(thrown.error().at(0)), "nginx.conf:1: init_by_lua error: lua/a.lua:2: no");
  const auto unknown = served.prepare(kept.add("d", "server {\n sever; }"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(text(unknown.error().at(0)).substr(0, 13), "nginx.conf:2:");
  const auto content = served.prepare(
      kept.add("e", "server { listen 127.0.0.1:80; location / { content_by_lua_file lua/a.lua; } }", "x = = 1"));
  ASSERT_FALSE(content);
  EXPECT_EQ(text(content.error().at(0)), "lua/a.lua:1: unexpected symbol near '='");
}

TEST(node, writes_logs_where_it_may_and_reads_lua_from_the_app_without_a_code_cache) {
  store kept;
  const std::string conf =
      "error_log logs/error.log notice; lua_code_cache off; server { listen 127.0.0.1:80; location / { "
      "content_by_lua_block { ngx.say(require('a'), ' ', ngx.config.prefix()) } } }";
  release_source source = kept.add("one", conf, "return 'tree'");
  const auto app = kept.path() / "app";
  std::filesystem::create_directories(app / "lua");
  std::ofstream(app / "lua/a.lua") << "return 'app'";
  source.app_folder = app;
  node served(kept.options(source));
  ASSERT_TRUE(served.start());
  EXPECT_EQ(get(served), "app " + source.prefix + "/\n");
  std::ofstream(app / "lua/a.lua") << "return 'edited'";
  EXPECT_EQ(get(served), "edited " + source.prefix + "/\n");
  EXPECT_TRUE(std::filesystem::exists(kept.path() / "data/logs/error.log"));
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(source.prefix) / "logs"));
}

TEST(node, counts_connections_and_exchanges) {
  store kept;
  node served(kept.options(kept.add(
      "one", "server { listen 127.0.0.1:80; location / { content_by_lua_block { ngx.say(1) } } "
             "location /wait { content_by_lua_block { ngx.print('in') ngx.flush(true) ngx.sleep(100) } } }")));
  ASSERT_TRUE(served.start());
  const auto at = tests::endpoint::of(served.listeners().at(0).address);
  test_client idle(at);
  EXPECT_EQ(idle.get("/").body, "1\n");
  auto waiting = test_client(at).start("GET /wait");
  waiting.connection().read_until("in");
  // The client may be faster than the log phase.
  while (served.releases().at(0).exchanges != 1) {
  }
  node_load load = served.load_now();
  while (load.idle != 1) load = served.load_now();
  EXPECT_EQ(load.shards, 2u);
  EXPECT_EQ(load.connections, 2u);
  EXPECT_EQ(load.requests, 2u);
  EXPECT_GT(load.lua_bytes, 100'000u);
}

// TROUPE_WRITE_DOCS=1 makes the page anew.
TEST(directives, have_a_page_that_is_made_from_their_table) {
  const auto page = std::filesystem::path(TROUPE_SOURCE_FOLDER) / "docs/directives.md";
  const std::string made = conf::directive_reference(conf::directive_table(conf::all_modules()));
  if (std::getenv("TROUPE_WRITE_DOCS") != nullptr) std::ofstream(page) << made;
  std::ifstream in(page);
  const std::string written((std::istreambuf_iterator<char>(in)), {});
  EXPECT_TRUE(written == made) << "make it anew: TROUPE_WRITE_DOCS=1 runtime_test "
                                  "--gtest_filter='directives.*'";
}

}  // namespace
}  // namespace troupe
