// SPDX-License-Identifier: Apache-2.0
//
// `troupe run`, `check` and `version` as a user at a shell meets them.
#include "tests/support/free_port.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include <csignal>
#include <string>
#include <vector>

namespace troupe::tests {
namespace {

constexpr const char* ok_server = "server { listen 8080; location / { return 200 'ok'; } }";

TEST(command_line, run_serves_until_it_is_told_to_stop) {
  for (const int number : {SIGTERM, SIGINT, SIGQUIT}) {
    test_node node({.conf = ok_server});
    EXPECT_EQ(test_client(node).get("/").body, "ok");
    EXPECT_EQ(node.stop(number), 0);
    EXPECT_EQ(node.log_lines(level::warn), no_lines);
  }
}

TEST(command_line, run_stays_in_the_foreground_whatever_the_app_says) {
  test_node node({.conf = ok_server, .main = "daemon on;"});
  EXPECT_TRUE(node.is_running());
  EXPECT_EQ(node.stop(), 0);
}

TEST(command_line, every_listener_is_printed_and_moves_by_the_same_distance) {
  free_port first;
  const int port = first.number();
  test_node node({.conf = "server { listen 20000; listen 127.0.0.1:20001; return 200 'ok'; }",
                  .flags = {"--port", std::to_string(port)}});
  EXPECT_EQ(node.out(), "listening on http://127.0.0.1:" + std::to_string(port) +
                            "\nlistening on http://127.0.0.1:" + std::to_string(port + 1) + "\n");
  EXPECT_EQ(test_client(node, 1).get("/").body, "ok");
  EXPECT_EQ(node.stop(), 0);
}

TEST(command_line, a_port_in_use_is_named_and_nothing_is_left_running) {
  test_node first({.conf = ok_server});
  const std::string port = std::to_string(first.port());
  test_node second(
      {.conf = "server { listen " + port + "; }", .flags = {"--port", port}, .starts = false});
  EXPECT_EQ(second.wait(), 1);
  EXPECT_EQ(second.out(), "");
  EXPECT_NE(second.log().find("bind() to 0.0.0.0:" + port + " failed (98: Address already in use)"),
            std::string::npos)
      << second.log();
  EXPECT_EQ(test_client(first).get("/").body, "ok");
  EXPECT_EQ(first.stop(), 0);
}

TEST(command_line, the_second_process_on_a_data_folder_is_told_who_has_it) {
  test_node node({.conf = ok_server});
  auto second = run_troupe(
      {"run", node.folder().string(), "--data", (node.folder() / "data").string(), "--port", "0"});
  EXPECT_EQ(second.status, 1);
  EXPECT_EQ(second.out, "");
  EXPECT_NE(second.err.find(" is in use by process " + std::to_string(node.pid()) + " ("),
            std::string::npos)
      << second.err;
  EXPECT_NE(second.err.find("hint: give this node another --name or --data"), std::string::npos);
  EXPECT_EQ(node.stop(), 0);
}

TEST(command_line, a_folder_without_an_app_is_refused) {
  temp_dir folder;
  auto refused =
      run_troupe({"run", folder.path().string(), "--data", (folder.path() / "data").string()});
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("neither nginx.conf nor conf/nginx.conf"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "data"));  // Nothing was made for it.
}

TEST(command_line, a_path_that_is_no_app_is_named_by_every_command_with_what_is_missing) {
  test_node node({.conf = ok_server});
  const std::string folder = node.folder().string();
  const std::string gone = folder + "/gone/app";
  const std::string told = gone + ": no such file or folder\n  hint: " + folder +
                           " is there, gone/app is not in it\n";
  EXPECT_EQ(run_troupe({"run", gone, "--data", folder + "/other"}).err, told);
  EXPECT_EQ(run_troupe({"run", gone, "--watch", "--data", folder + "/other"}).err, told);
  EXPECT_EQ(run_troupe({"check", gone}).err, told);
  const auto applied = run_troupe({"apply", gone, "--data", node.data().string()});
  EXPECT_EQ(applied.err, told);
  EXPECT_EQ(applied.status, 1);
  EXPECT_TRUE(run_troupe({"apply", gone, "--data", node.data().string(), "--json"})
                  .out.starts_with("{\"error\":\"check_failed\","));
  EXPECT_TRUE(run_troupe({"apply", folder + "/nginx.conf", "--data", node.data().string()})
                  .err.starts_with(folder + "/nginx.conf: this is a file; a release is made of an app's folder\n"));
  // HUP, when what it was started from has gone.
  std::filesystem::remove(node.folder() / "nginx.conf");
  node.signal(SIGHUP);
  EXPECT_TRUE(node.logs("neither nginx.conf nor conf/nginx.conf is in this folder"));
  EXPECT_EQ(test_client(node).get("/").body, "ok");
  EXPECT_EQ(node.stop(), 0);
}

TEST(command_line, check_is_quiet_about_a_good_app_and_exact_about_a_bad_one) {
  temp_dir folder;
  folder.write("nginx.conf", ok_server);
  auto good = run_troupe({"check", folder.path().string()});
  EXPECT_EQ(good.status, 0);
  EXPECT_EQ(good.out, folder.path().string() + ": ok\n");
  EXPECT_EQ(good.err, "");
  EXPECT_EQ(run_troupe({"check", folder.path().string(), "--json"}).out,
            "{\"ok\":true,\"warnings\":[]}\n");

  const std::string conf = folder.write("nginx.conf", "server {\n  lisen 8080;\n}\n");
  auto bad = run_troupe({"check", folder.path().string()});
  EXPECT_EQ(bad.status, 1);
  EXPECT_EQ(bad.out, "");
  EXPECT_TRUE(bad.err.starts_with(conf + ":2: unknown directive \"lisen\"\n")) << bad.err;
  EXPECT_NE(bad.err.find("listen"), std::string::npos);
  auto json = run_troupe({"check", folder.path().string(), "--json"});
  EXPECT_EQ(json.status, 1);
  EXPECT_EQ(json.err, "");
  EXPECT_TRUE(json.out.starts_with("{\"error\":\"check_failed\",\"reason\":")) << json.out;
  EXPECT_NE(json.out.find("\"line\":2"), std::string::npos);
}

TEST(command_line, a_slip_gets_a_hint_and_status_2) {
  auto command = run_troupe({"rum", "app"});
  EXPECT_EQ(command.status, 2);
  EXPECT_EQ(command.err, "unknown command \"rum\"\n  hint: did you mean `troupe run`?\n");
  auto flag = run_troupe({"run", "app", "--prot", "1"});
  EXPECT_EQ(flag.status, 2);
  EXPECT_EQ(flag.err, "unknown flag \"--prot\"\n  hint: did you mean --port?\n");
  EXPECT_EQ(run_troupe({}).status, 2);
  EXPECT_EQ(run_troupe({"run", "app", "--keep-releases", "0"}).status, 2);
}

TEST(command_line, wrong_usage_is_status_2_and_with_json_a_document) {
  // Before a node is asked: there is none.
  const std::string app = (source_folder() / "examples/hello").string();
  const std::vector<std::vector<std::string>> slips = {
      {"push", app, "--canary", "x"},
      {"push", app, "--canary", "20%", "--stop-if", "error>1%"},
      {"push", app, "--app", "bad name!"},
      {"push", app, "--to", "zone="},
      {"push", "--outcome", "zz"},
      {"push"},
      {"rollback", "--app", "bad name!"},
      {"rollback", "x"},
      {"releases", "--app", "bad name!"},
      {"config", "set", "bad key", "v"},
      {"config", "set", "k", "v", "--to", "zone="},
      {"config", "sett", "k", "v"},
      {"keys", "trust", "k"},
      {"cluster", "promotee"},
      {"nodes", "--no-such-flag"},
      {"run", "--prot", "1"},
      {"puhs", app}};
  for (std::vector<std::string> words : slips) {
    std::string line;
    for (const std::string& word : words) line += word + ' ';
    const finished plain = run_troupe(words);
    EXPECT_EQ(plain.status, 2) << line << plain.err;
    EXPECT_EQ(plain.out, "") << line;
    words.emplace_back("--json");
    const finished done = run_troupe(words);
    EXPECT_EQ(done.status, 2) << line;
    const auto told = nlohmann::json::parse(done.out, nullptr, false);
    ASSERT_TRUE(told.is_object()) << line << done.out;
    EXPECT_EQ(told["error"], "bad_request") << line;
    EXPECT_TRUE(told["reason"].is_string()) << line;
  }
}

TEST(command_line, the_client_says_which_part_of_it_is_missing) {
  temp_dir folder;
  const std::filesystem::path alone = folder.path() / "troupe";
  std::filesystem::copy_file(binary_under_test(), alone);
  process asks({alone.string(), "status", "--help"});
  EXPECT_EQ(asks.wait(), 0) << asks.err();
  process serves({alone.string(), "run", "app"});
  EXPECT_EQ(serves.wait(), 1);
  EXPECT_NE(serves.err().find("cannot start " + (folder.path() / "troupe-server").string() +
                              ": No such file or directory"),
            std::string::npos)
      << serves.err();
}

TEST(command_line, help_and_version_go_to_stdout) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"help"}, {"--help"}, {"-h"}, {"run", "--help"}, {"help", "run"}, {"version"}}) {
    auto said = run_troupe(words);
    EXPECT_EQ(said.status, 0) << words[0];
    EXPECT_NE(said.out, "") << words[0];
    EXPECT_EQ(said.err, "") << words[0];
  }
  EXPECT_TRUE(run_troupe({"version", "--json"}).out.starts_with("{\"version\":\""));
}

}  // namespace
TEST(command_line, a_stop_in_the_middle_of_a_reload_ends_the_node_all_the_same) {
  for (int round = 0; round < 12; ++round) {
    test_node node({.shards = 2, .conf = R"(
        init_worker_by_lua_block { ngx.timer.at(60, function() end) ngx.sleep(0.002) }
        exit_worker_by_lua_block { ngx.sleep(0.001) }
        server { listen @port@; return 204; })"});
    node.signal(SIGHUP);
    if (round % 3 == 1) {
      EXPECT_EQ(test_client(node).get("/").status, 204);
    }
    if (round % 3 == 2) std::this_thread::sleep_for(std::chrono::milliseconds(round));
    EXPECT_EQ(node.stop(round % 2 == 0 ? SIGQUIT : SIGTERM), 0) << node.log();
  }
}

}  // namespace troupe::tests
