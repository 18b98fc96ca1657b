// SPDX-License-Identifier: Apache-2.0
#include "runtime/cluster_documents.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

namespace troupe {
namespace {

using cluster::node_outcome;
using cluster::node_progress;
using cluster::progress;

progress done(std::string state, std::string error, std::string reason,
              std::vector<node_progress> nodes) {
  progress how;
  how.done = true;
  how.state = std::move(state);
  how.error = std::move(error);
  how.reason = std::move(reason);
  how.release = 2;
  how.nodes = std::move(nodes);
  return how;
}

TEST(cluster_documents, what_was_aborted_is_active_nowhere) {
  const cluster_json told = json_of(
      done("aborted", "canary_failed", "50.00% of the canaries' requests failed, more than 1%",
           {{"a", node_outcome::active, 9, 12, ""},
            {"b", node_outcome::ready, 8, 0, ""},
            {"c", node_outcome::waiting, 0, 0, ""},
            {"d", node_outcome::unreachable, 0, 0, ""}}));
  const auto& nodes = told["nodes"];
  EXPECT_EQ(nodes[0]["state"], "refused");
  EXPECT_TRUE(nodes[0]["reason"].get<std::string>().starts_with("went back: 50.00%")) << told;
  EXPECT_EQ(nodes[0]["active_ms"], 12);
  EXPECT_EQ(nodes[1]["state"], "behind");
  EXPECT_EQ(nodes[2]["state"], "behind");
  EXPECT_EQ(nodes[3]["state"], "unreachable");
}

TEST(cluster_documents, a_time_that_never_was_is_null) {
  const cluster_json told =
      json_of(done("partial", "", "", {{"a", node_outcome::active, 1.5, 2.5, ""},
                                       {"b", node_outcome::unreachable, 0, 0, ""}}));
  EXPECT_EQ(told["nodes"][0]["prepared_ms"], 1.5);
  EXPECT_TRUE(told["nodes"][1]["prepared_ms"].is_null()) << told;
  EXPECT_TRUE(told["nodes"][1]["active_ms"].is_null()) << told;
}

TEST(cluster_documents, a_push_under_way_has_its_steps) {
  progress how = done("preparing", "", "", {{"a", node_outcome::ready, 3, 0, ""},
                                            {"b", node_outcome::waiting, 0, 0, ""}});
  how.done = false;
  EXPECT_EQ(json_of(how)["nodes"][0]["state"], "ready");
  EXPECT_EQ(json_of(how)["nodes"][1]["state"], "waiting");
}

TEST(cluster_documents, a_reason_with_a_place_has_file_and_line) {
  const auto of = [](std::string reason) {
    return json_of(done("aborted", "check_failed", "c: " + reason,
                        {{"c", node_outcome::refused, 0, 0, reason}}));
  };
  const cluster_json told = of("lua/a.lua:3: '=' expected near 'x'");
  EXPECT_EQ(told["file"], "lua/a.lua");
  EXPECT_EQ(told["line"], 3);
  EXPECT_EQ(told["nodes"][0]["file"], "lua/a.lua");
  EXPECT_EQ(told["nodes"][0]["line"], 3);
  EXPECT_EQ(of("conf/nginx.conf:12: unknown directive \"sever\"")["file"], "conf/nginx.conf");
  EXPECT_EQ(of("init failed: lua/b.lua:7: boom")["file"], "lua/b.lua");
  for (const char* without : {"127.0.0.1:8080: in use", "http://a.example:80: no", "init_by_lua(nginx.conf:4):1: boom", "no"}) {
    EXPECT_FALSE(of(without).contains("file")) << of(without);
  }
}

TEST(cluster_documents, a_node_of_an_older_epoch_is_behind_however_far_its_history_went) {
  cluster::query_answer answer;
  answer.head = {.epoch = 2, .seq = 5, .state = {}};
  const auto at = [&](std::string name, std::uint64_t epoch, std::uint64_t seq) {
    cluster::node_report one;
    one.name = std::move(name);
    one.at = {.epoch = epoch, .seq = seq, .state = {}};
    answer.nodes.push_back(std::move(one));
  };
  at("level", 2, 5);
  at("late", 2, 3);
  at("old", 1, 4);
  at("left", 1, 9);
  const cluster_json nodes = json_of_nodes(answer, cluster::cluster_state(), "default");
  EXPECT_EQ(nodes[0]["behind"], 0);
  EXPECT_EQ(nodes[1]["behind"], 2);
  EXPECT_EQ(nodes[2]["behind"], 1);
  EXPECT_EQ(nodes[3]["behind"], 1);
}

}  // namespace
}  // namespace troupe
