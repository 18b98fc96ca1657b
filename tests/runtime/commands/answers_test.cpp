// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/answers.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(answers, a_refusal_names_the_first_error_and_has_all) {
  EXPECT_EQ(
      json_refusal("check_failed",
                   {{.file = "a.conf", .line = 1, .reason = "old", .level = net::log_level::warn},
                    {.file = "lua/a.lua", .line = 3, .reason = "'=' expected near 'x'"},
                    {.reason = "more", .hint = "less"}}),
      R"({"error":"check_failed","reason":"lua/a.lua:3: '=' expected near 'x'",)"
      R"("file":"lua/a.lua","line":3,"problems":[)"
      R"({"reason":"old","file":"a.conf","line":1,"hint":null},)"
      R"({"reason":"'=' expected near 'x'","file":"lua/a.lua","line":3,"hint":null},)"
      R"({"reason":"more","file":null,"line":null,"hint":"less"}]})");
  EXPECT_EQ(json_refusal("start_failed", {{.reason = "no"}}),
            R"({"error":"start_failed","reason":"no",)"
            R"("problems":[{"reason":"no","file":null,"line":null,"hint":null}]})");
}

TEST(answers, a_listener_has_a_url_that_one_can_open) {
  EXPECT_EQ(url_of({"0.0.0.0:8080", "http"}), "http://127.0.0.1:8080");
  EXPECT_EQ(url_of({"[::]:8080", "http"}), "http://[::1]:8080");
  EXPECT_EQ(url_of({"127.0.0.2:443", "https"}), "https://127.0.0.2:443");
  EXPECT_EQ(url_of({"[fe80::1]:80", "http"}), "http://[fe80::1]:80");
  EXPECT_EQ(url_of({"unix:/run/app.sock", "http"}), "unix:/run/app.sock");
}

TEST(answers, listeners_are_told_as_they_are_bound) {
  EXPECT_EQ(
      json_of(std::vector<listener_info>{{"0.0.0.0:1", "http"}, {"[::]:2", "https"}}),
      R"([{"address":"0.0.0.0:1","protocol":"http"},{"address":"[::]:2","protocol":"https"}])");
  EXPECT_EQ(json_of(std::vector<listener_info>{}), "[]");
}

}  // namespace
}  // namespace troupe
