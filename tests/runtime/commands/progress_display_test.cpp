// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/progress_display.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

using json = nlohmann::ordered_json;
using namespace std::chrono_literals;

json node(const char* name, const char* state, json prepared_ms, json active_ms, json reason = nullptr) {
  return {{"name", name},
          {"state", state},
          {"prepared_ms", std::move(prepared_ms)},
          {"active_ms", std::move(active_ms)},
          {"reason", std::move(reason)}};
}

TEST(progress_display, counts_nodes_and_names_those_that_have_not_done_it) {
  const json news{{"state", "partial"},
                  {"done", true},
                  {"nodes", {node("a", "active", 9.1, 12.4), node("b", "refused", nullptr, nullptr, "no room")}}};
  EXPECT_EQ(progress_display::text_of("release 2", news, false),
            "release 2\n"
            "  prepared  1/2   9 ms\n"
            "  active    1/2   12 ms\n"
            "  b refused: no room");
}

TEST(progress_display, a_canary_has_its_nodes_and_the_time_left) {
  const json news{{"state", "canary"},
                  {"done", false},
                  {"nodes", {node("a", "active", 9, 12), node("b", "ready", 8, nullptr)}}};
  const shown_canary of{.names = "a", .nodes = 1, .watch = 60s, .left = 42s};
  EXPECT_EQ(progress_display::text_of("release 2", news, true, of),
            "release 2\n"
            "  prepared  ████████████████████  2/2   9 ms\n"
            "  canary    ██████████░░░░░░░░░░  1/2   a  watched for 60 s, 42 s left");
  EXPECT_EQ(progress_display::text_of("release 2", news, false, of),
            "release 2\n"
            "  prepared  2/2   9 ms\n"
            "  canary    1/2   a  watched for 60 s");
}

TEST(progress_display, a_canary_that_failed_went_back_and_nothing_is_active) {
  const json news{{"state", "aborted"},
                  {"done", true},
                  {"error", "canary_failed"},
                  {"reason", "half of it failed"},
                  {"nodes",
                   {node("a", "refused", 9, 12, "went back: half of it failed"),
                    node("b", "behind", 8, nullptr, "was ready, and the push was aborted")}}};
  EXPECT_EQ(progress_display::text_of("release 2", news, false, {.names = "a", .nodes = 1, .watch = 60s}),
            "release 2\n"
            "  prepared  2/2   9 ms\n"
            "  canary    1/2   a\n"
            "  went back: half of it failed");
}

TEST(progress_display, of_an_aborted_push_only_who_refused_is_named) {
  const json news{{"state", "aborted"},
                  {"done", true},
                  {"error", "check_failed"},
                  {"reason", "b: no"},
                  {"nodes",
                   {node("a", "behind", 9, nullptr, "was ready, and the push was aborted"),
                    node("b", "refused", nullptr, nullptr, "no")}}};
  EXPECT_EQ(progress_display::text_of("release 2", news, false),
            "release 2\n"
            "  prepared  1/2   9 ms\n"
            "  active    0/2\n"
            "  b refused: no");
}

}  // namespace
}  // namespace troupe
