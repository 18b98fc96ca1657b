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
