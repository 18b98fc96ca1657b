// SPDX-License-Identifier: Apache-2.0
//
// Releases as an operator meets them: apply, releases, diff, rollback, --watch, a restart.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/troupe_command.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

std::string saying(std::string_view word) {
  return "server { listen 8080; location / { content_by_lua_block { ngx.say('" + std::string(word) +
         "') } } }";
}

json asked_json(const test_node& node, std::vector<std::string> words, int status = 0) {
  words.emplace_back("--json");
  const finished done = ask(node, std::move(words));
  EXPECT_EQ(done.status, status) << done.out << done.err;
  return json::parse(done.out, nullptr, false);
}

json apply(const test_node& node, std::vector<std::string> more = {}, int status = 0) {
  more.insert(more.begin(), {"apply", node.folder().string()});
  return asked_json(node, std::move(more), status);
}

TEST(apply, puts_a_change_into_a_running_node) {
  test_node node({.conf = saying("one"), .files = {{"lua/a.lua", "return 1\n"}}});
  test_client client(node);
  EXPECT_EQ(client.get("/").body, "one\n");
  node.edit_conf(saying("two"));
  node.edit("lua/b.lua", "return 2\n");
  std::filesystem::remove(node.folder() / "lua/a.lua");
  const json outcome = apply(node);
  EXPECT_EQ(outcome["release"], 2);
  EXPECT_EQ(outcome["parent"], 1);
  EXPECT_EQ(outcome["changed"], json::parse(R"([{"path":"lua/a.lua","change":"removed"},
                                               {"path":"lua/b.lua","change":"added"},
                                               {"path":"nginx.conf","change":"modified"}])"));
  EXPECT_TRUE(outcome["digest"].get<std::string>().starts_with("sha256:"));
  EXPECT_GT(outcome["load_ms"].get<double>(), 0);
  EXPECT_GT(outcome["swap_ms"].get<double>(), 0);
  // The same connection goes on in the new release.
  EXPECT_EQ(client.get("/").body, "two\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(apply, works_after_root_has_become_the_app_s_user) {
  if (geteuid() != 0) GTEST_SKIP() << "only root changes its user";
  test_node node({.conf = saying("one"), .main = "user nobody nogroup;"});
  test_client client(node);
  node.edit_conf(saying("two"));
  EXPECT_EQ(apply(node)["release"], 2);
  EXPECT_EQ(client.get("/").body, "two\n");
  EXPECT_EQ(ask(node, {"config", "set", "a", "1"}).status, 0);
  EXPECT_EQ(asked_json(node, {"rollback"})["release"], 1);
  EXPECT_EQ(client.get("/").body, "one\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(apply, says_at_the_start_that_the_app_s_user_cannot_reach_the_store) {
  if (geteuid() != 0) GTEST_SKIP() << "only root changes its user";
  const temp_dir locked;
  const std::string data = (locked.path() / "data").string();
  test_node node({.conf = saying("one"), .main = "user nobody nogroup;", .flags = {"--data", data}});
  EXPECT_EQ(test_client(node).get("/").body, "one\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_NE(node.log().find("user nobody cannot write in the data folder " + data),
            std::string::npos)
      << node.log();
}

TEST(apply, the_folder_may_change_without_effect_until_it_is_applied) {
  test_node node({.conf = "server { listen 8080; root html; }", .files = {{"html/a.txt", "one"}}});
  node.edit("html/a.txt", "two");
  EXPECT_EQ(test_client(node).get("/a.txt").body, "one");
  apply(node);
  EXPECT_EQ(test_client(node).get("/a.txt").body, "two");
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, what_does_not_differ_makes_no_release) {
  test_node node({.conf = saying("one")});
  const json outcome = apply(node);
  EXPECT_EQ(outcome["release"], 1);
  EXPECT_EQ(outcome["changed"], json::array());
  const finished nowhere = ask(node, {"apply", "/nowhere"});
  EXPECT_EQ(nowhere.status, 1);
  EXPECT_EQ(nowhere.err, "/nowhere: no such file or folder\n  hint: / is there, nowhere is not in it\n");
  const finished wordy = ask(node, {"apply", node.folder().string(), "-m", std::string(5000, 'x')});
  EXPECT_EQ(wordy.status, 2);
  EXPECT_NE(wordy.err.find("the message has 5000 bytes"), std::string::npos) << wordy.err;
  EXPECT_EQ(asked_json(node, {"releases"}).size(), 1u);
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, a_release_that_cannot_work_is_refused_with_its_place_and_the_old_one_serves_on) {
  test_node node({.conf = saying("one")});
  struct broken {
    std::string conf;
    std::pair<std::string, std::string> file;
    std::string reason;
    json place;
  };
  const std::vector<broken> cases = {
      {"sever { }", {"x", ""}, "unknown directive \"sever\"", "nginx.conf"},
      {"server { listen 8080; location / { content_by_lua_file lua/a.lua; } }",
       {"lua/a.lua", "local function f()\n  return 1 +\nend\n"},
       "unexpected symbol near 'end'",
       "lua/a.lua"},
      {"server { listen 8080; location / { content_by_lua_block { x = = 1 } } }", {"x", ""},
       "unexpected symbol near '='", "nginx.conf"},
      {"init_by_lua_block { error('no luck') } server { listen 8080; }", {"x", ""}, "no luck",
       "nginx.conf"},
      {"init_by_lua_block { require 'nowhere' } server { listen 8080; }", {"x", ""},
       "module 'nowhere' not found", "nginx.conf"},
      {"init_worker_by_lua_block { error('no luck') } server { listen 8080; }", {"x", ""}, "no luck",
       "nginx.conf"},
  };
  for (const broken& each : cases) {
    node.edit_conf(each.conf);
    node.edit(each.file.first, each.file.second);
    const json refused = apply(node, {}, 1);
    EXPECT_EQ(refused["error"], "check_failed");
    EXPECT_NE(refused["reason"].get<std::string>().find(each.reason), std::string::npos) << refused;
    EXPECT_EQ(refused["file"], each.place) << refused;
    EXPECT_EQ(refused["active"], 1);
    EXPECT_EQ(test_client(node).get("/").body, "one\n");
  }
  const finished shown = ask(node, {"apply", node.folder().string()});
  EXPECT_EQ(shown.status, 1);
  EXPECT_EQ(shown.out, "");
  EXPECT_NE(shown.err.find("nginx.conf:"), std::string::npos) << shown.err;
  EXPECT_EQ(asked_json(node, {"releases"}).size(), 1u);
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, the_release_lost_against_is_named) {
  test_node node({.conf = saying("one")});
  node.edit_conf(saying("two"));
  apply(node, {"--expect", "1"});
  node.edit_conf(saying("three"));
  const json refused = apply(node, {"--expect", "1"}, 5);
  EXPECT_EQ(refused["error"], "overtaken");
  EXPECT_EQ(refused["active"], 2);
  EXPECT_EQ(test_client(node).get("/").body, "two\n");
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, of_two_at_once_with_one_expectation_one_wins) {
  test_node node({.conf = saying("zero")});
  temp_dir other;
  std::filesystem::copy(node.folder() / "nginx.conf", other.path() / "nginx.conf");
  node.edit_conf(saying("left"));
  std::string right = read_file(other.path() / "nginx.conf");
  right.replace(right.find("zero"), 4, "right");
  write_file(other.path() / "nginx.conf", right);
  int left_status = -1;
  int right_status = -1;
  std::thread one([&] {
    left_status = ask(node, {"apply", node.folder().string(), "--expect", "1"}).status;
  });
  std::thread two([&] {
    right_status = ask(node, {"apply", other.path().string(), "--expect", "1"}).status;
  });
  one.join();
  two.join();
  EXPECT_EQ(std::min(left_status, right_status), 0);
  EXPECT_EQ(std::max(left_status, right_status), 5);
  EXPECT_EQ(test_client(node).get("/").body, left_status == 0 ? "left\n" : "right\n");
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, contents_that_the_node_has_are_not_sent_again) {
  test_node node({.conf = "server { listen 8080; root html; }",
                  .files = {{"html/large", std::string(600'000, 'a')}, {"html/small", "1"}}});
  node.edit("html/small", "2");
  EXPECT_EQ(apply(node)["changed"].size(), 1u);
  EXPECT_EQ(test_client(node).get("/small").body, "2");
  EXPECT_EQ(test_client(node).get("/large").body.size(), 600'000u);
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, the_history_says_who_when_and_what) {
  test_node node({.conf = saying("one")});
  node.edit_conf(saying("two"));
  apply(node, {"-m", "new words"});
  const json history = asked_json(node, {"releases"});
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[0]["release"], 2);
  EXPECT_EQ(history[0]["state"], "active");
  EXPECT_EQ(history[0]["message"], "new words");
  EXPECT_EQ(history[0]["changed"], 1);
  EXPECT_NE(history[0]["author"], "");
  EXPECT_EQ(history[1]["state"], "warm");
  const finished table = ask(node, {"releases"});
  EXPECT_NE(table.out.find("RELEASE  STATE"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("new words"), std::string::npos);
  const std::string audit = read_file(node.data() / "audit.log");
  EXPECT_NE(audit.find(R"("action":"apply","subject":"release 2")"), std::string::npos) << audit;
  EXPECT_NE(audit.find(R"("result":"done")"), std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, what_no_kept_release_has_leaves_the_disk_while_the_node_runs) {
  test_node node({.conf = saying("one"), .flags = {"--keep-releases", "1"}});
  const auto contents = [&] {
    std::size_t count = 0;
    for (const auto& each : std::filesystem::recursive_directory_iterator(node.data() / "store")) {
      if (each.is_regular_file()) ++count;
    }
    return count;
  };
  const std::size_t before = contents();
  for (int i = 0; i < 5; ++i) {
    node.edit_conf(saying("now " + std::to_string(i)));
    ASSERT_EQ(apply(node)["release"], i + 2);
  }
  // The one before stays warm, and the one before that may have been about to end. Files go beside what
  // goes on; who takes hold of contents meanwhile ends the round.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (contents() > before + 2 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_LE(contents(), before + 2);
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, a_message_does_not_write_on_the_terminal) {
  test_node node({.conf = saying("one")});
  node.edit_conf(saying("two"));
  EXPECT_EQ(apply(node, {"-m", "two\nlines \033[2J"})["release"], 2);
  const std::string shown = ask(node, {"releases"}).out;
  EXPECT_NE(shown.find("two\\x0Alines \\x1B[2J"), std::string::npos) << shown;
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, diff_shows_what_changed_file_by_file) {
  test_node node({.conf = saying("one"), .files = {{"lua/a.lua", "local a = 1\nreturn a\n"}}});
  node.edit("lua/a.lua", "local a = 2\nreturn a\n");
  apply(node);
  const finished shown = ask(node, {"diff", "1", "2"});
  EXPECT_EQ(shown.status, 0) << shown.err;
  EXPECT_NE(shown.out.find("-local a = 1\n+local a = 2\n return a\n"), std::string::npos) << shown.out;
  EXPECT_EQ(shown.out, ask(node, {"diff", "1"}).out);
  const finished unknown = ask(node, {"diff", "1", "9"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_NE(unknown.err.find("no release 9"), std::string::npos) << unknown.err;
  EXPECT_EQ(ask(node, {"diff", "x"}).status, 2);
  EXPECT_EQ(node.stop(), 0);
}

TEST(rollback, goes_back_and_forth) {
  test_node node({.conf = saying("one")});
  test_client client(node);
  node.edit_conf(saying("two"));
  apply(node);
  EXPECT_EQ(client.get("/").body, "two\n");
  const json back = asked_json(node, {"rollback"});
  EXPECT_EQ(back["release"], 1);
  EXPECT_EQ(back["parent"], 2);
  EXPECT_EQ(client.get("/").body, "one\n");
  EXPECT_EQ(asked_json(node, {"rollback", "2"})["release"], 2);
  EXPECT_EQ(client.get("/").body, "two\n");
  const json unknown = asked_json(node, {"rollback", "7"}, 1);
  EXPECT_EQ(unknown["error"], "unknown_release");
  EXPECT_EQ(asked_json(node, {"rollback", "1", "--expect", "1"}, 5)["active"], 2);
  EXPECT_EQ(client.get("/").body, "two\n");
  EXPECT_EQ(node.stop(), 0);
}

TEST(rollback, to_a_release_that_is_stored_only_loads_it) {
  test_node node({.conf = saying("0")});
  for (int i = 1; i < 5; ++i) {
    node.edit_conf(saying(std::to_string(i)));
    apply(node);
  }
  EXPECT_EQ(asked_json(node, {"releases"})[4]["state"], "stored");
  asked_json(node, {"rollback", "1"});
  EXPECT_EQ(test_client(node).get("/").body, "0\n");
  EXPECT_EQ(node.stop(), 0);
}

TEST(apply, a_restarted_node_serves_its_last_release_with_no_app_folder_at_hand) {
  temp_dir keep;
  const std::string data = (keep.path() / "data").string();
  auto serve = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {binary_under_test(), "run"});
    words.insert(words.end(), {"--data", data, "--port", "0"});
    auto node = std::make_unique<process>(words, process_options{keep.path()});
    EXPECT_TRUE(node->wait_for([](const std::string& out, const std::string&) {
      return out.find("listening on ") != std::string::npos;
    })) << node->err();
    const std::string out = node->out();
    const auto port = static_cast<std::uint16_t>(std::stoi(out.substr(out.rfind(':') + 1)));
    return std::pair{std::move(node), endpoint{.port = port}};
  };
  write_file(keep.path() / "app/nginx.conf", "events {} http { root html; server { listen 8080; } }");
  write_file(keep.path() / "app/html/a.txt", "kept");
  {
    auto [node, where] = serve({(keep.path() / "app").string()});
    EXPECT_EQ(test_client(where).get("/a.txt").body, "kept");
    node->signal(SIGKILL);
    node->wait();
  }
  std::filesystem::remove_all(keep.path() / "app");
  auto [node, where] = serve({});
  EXPECT_EQ(test_client(where).get("/a.txt").body, "kept");
  node->signal(SIGQUIT);
  EXPECT_EQ(node->wait(), 0);
  EXPECT_EQ(run_troupe({"run", (keep.path() / "app").string(), "--data", data}).status, 1);
}

TEST(apply, a_node_that_never_had_a_release_says_so) {
  temp_dir keep;
  const finished refused = run_troupe({"run", "--data", keep.path().string()});
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("the data folder holds no release yet"), std::string::npos) << refused.err;
}

TEST(apply, hup_applies_the_folder) {
  test_node node({.conf = saying("one")});
  node.edit_conf(saying("two"));
  node.signal(SIGHUP);
  EXPECT_TRUE(node.logs("apply release 2 by "));
  EXPECT_EQ(test_client(node).get("/").body, "two\n");
  node.edit_conf("sever {}");
  node.signal(SIGHUP);
  EXPECT_TRUE(node.logs("unknown directive \"sever\""));
  EXPECT_EQ(test_client(node).get("/").body, "two\n");
  EXPECT_EQ(node.stop(), 0);
}

TEST(watch, each_save_is_applied_and_errors_are_shown) {
  test_node node({.conf = saying("one"), .flags = {"--watch"}});
  node.edit_conf(saying("two"));
  EXPECT_TRUE(node.logs("apply release 2 by "));
  EXPECT_EQ(test_client(node).get("/").body, "two\n");
  node.edit_conf("sever {}");
  EXPECT_TRUE(node.logs("nginx.conf:"));
  EXPECT_EQ(test_client(node).get("/").body, "two\n");
  // A folder that is made later is watched too.
  node.edit("lua/deep/m.lua", "return 'three'");
  node.edit_conf("server { listen 8080; location / { content_by_lua_block { "
                 "ngx.say(require 'deep.m') } } }");
  EXPECT_TRUE(node.logs("apply release 3 by "));
  node.edit("lua/deep/m.lua", "return 'four'");
  EXPECT_TRUE(node.logs("apply release 4 by "));
  EXPECT_EQ(test_client(node).get("/").body, "four\n");
  EXPECT_EQ(node.stop(), 0);
}

TEST(watch, a_log_that_is_written_all_the_time_puts_no_save_off) {
  test_node node({.conf = saying("one"), .flags = {"--watch"}});
  std::atomic<bool> ended{false};
  std::thread writer([&] {
    while (!ended) {
      node.edit("busy.log", "x");
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  node.edit_conf(saying("two"));
  EXPECT_TRUE(node.logs("apply release 2 by "));
  ended = true;
  writer.join();
  EXPECT_EQ(node.stop(), 0);
}

// As deployments do it: a symbolic link set anew, a folder moved into the place of another.
TEST(watch, another_folder_that_takes_its_place_is_applied) {
  temp_dir folder;
  const std::string socket = (folder.path() / "socket").string();
  for (const std::string each : {"one", "two", "three"}) {
    folder.write(each + "/nginx.conf",
                 "server { listen unix:" + socket + "; location / { return 200 " + each + "; } }");
  }
  const auto app = folder.path() / "app";
  std::filesystem::create_directory_symlink("one", app);
  process node({binary_under_test(), "run", app.string(), "--watch", "--shards", "1", "--data",
                (folder.path() / "data").string()});
  const auto says = [&](const std::string& text) {
    return node.wait_for([&](const std::string& out, const std::string&) {
      return out.find(text) != std::string::npos;
    });
  };
  ASSERT_TRUE(says("listening on ")) << node.err();
  test_client client(endpoint{.unix_path = socket});
  EXPECT_EQ(client.get("/").body, "one");
  std::filesystem::create_directory_symlink("two", folder.path() / "next");
  std::filesystem::rename(folder.path() / "next", app);
  EXPECT_TRUE(says("release 2 ")) << node.err();
  EXPECT_EQ(client.get("/").body, "two");
  std::filesystem::remove(app);
  std::filesystem::rename(folder.path() / "three", app);
  EXPECT_TRUE(says("release 3 ")) << node.err();
  EXPECT_EQ(client.get("/").body, "three");
  node.signal(SIGQUIT);
  EXPECT_EQ(node.wait(), 0);
}

TEST(watch, what_is_no_folder_cannot_be_watched) {
  test_node node({.conf = saying("one")});
  const finished done = run_troupe(
      {"run", (node.folder() / "nginx.conf").string(), "--watch", "--data", node.data() / "other"});
  EXPECT_EQ(done.status, 2);
  EXPECT_NE(done.err.find("--watch needs an app folder"), std::string::npos) << done.err;
  EXPECT_EQ(node.stop(), 0);
}

TEST(status, says_what_the_node_does) {
  test_node node({.shards = 2, .conf = saying("one")});
  test_client client(node);
  client.get("/");
  const json status = asked_json(node, {"status"});
  EXPECT_EQ(status["name"], "local");
  EXPECT_EQ(status["release"], 1);
  EXPECT_EQ(status["shards"], 2);
  EXPECT_EQ(status["requests"], 1);
  EXPECT_EQ(status["connections"]["active"], 1);
  EXPECT_EQ(status["connections"]["idle"], 1);
  EXPECT_EQ(status["listeners"][0]["protocol"], "http");
  EXPECT_GT(status["memory"]["rss_bytes"], 1'000'000);
  EXPECT_GT(status["memory"]["lua_bytes"], 10'000);
  EXPECT_NE(ask(node, {"status"}).out.find("release      1  sha256:"), std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(rollback, what_is_no_number_is_wrong_usage) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"rollback", "abc"}, {"diff", "abc"}, {"diff", "1", "x"}}) {
    const finished done = run_troupe(words);
    EXPECT_EQ(done.status, 2) << done.err;
  }
}

TEST(status, without_a_node_the_exit_status_says_so) {
  temp_dir nowhere;
  const finished refused = run_troupe({"status", "--data", nowhere.path().string()});
  EXPECT_EQ(refused.status, 4);
  EXPECT_NE(refused.err.find("no node answers at "), std::string::npos);
  EXPECT_NE(refused.err.find("hint: "), std::string::npos);
}

}  // namespace
}  // namespace troupe::tests
