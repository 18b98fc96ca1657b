// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_sink.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <regex>

namespace troupe {
namespace {

using net::log_level;
using tests::temp_dir;

TEST(log_sink, writes_the_line_that_tools_parse) {
  temp_dir folder;
  log_sink sink({{*log_file::open(folder.path() / "error.log"), log_level::info}});
  sink.write(log_level::error, 42, "something broke", ", client: 127.0.0.1, server: ");
  sink.write(log_level::notice, "start");
  const std::string both = folder.read("error.log");
  EXPECT_TRUE(std::regex_match(
      both, std::regex(R"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] \d+#\d+: \*42 something broke)"
                       R"(, client: 127\.0\.0\.1, server: \n)"
                       R"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[notice\] \d+#\d+: start\n)")))
      << both;
}

TEST(log_sink, each_target_has_its_own_level) {
  temp_dir folder;
  log_sink sink({{*log_file::open(folder.path() / "all.log"), log_level::debug},
                 {*log_file::open(folder.path() / "bad.log"), log_level::error}});
  EXPECT_TRUE(sink.enabled(log_level::debug));
  sink.write(log_level::info, "harmless");
  sink.write(log_level::crit, "grave");
  EXPECT_NE(folder.read("all.log").find("harmless"), std::string::npos);
  EXPECT_NE(folder.read("all.log").find("grave"), std::string::npos);
  EXPECT_EQ(folder.read("bad.log").find("harmless"), std::string::npos);
  EXPECT_NE(folder.read("bad.log").find("grave"), std::string::npos);
}

TEST(log_sink, a_level_that_nobody_wants_is_not_enabled) {
  temp_dir folder;
  log_sink sink({{*log_file::open(folder.path() / "error.log"), log_level::warn}});
  EXPECT_TRUE(sink.enabled(log_level::warn));
  EXPECT_FALSE(sink.enabled(log_level::notice));
  sink.write(log_level::notice, "unseen");
  EXPECT_EQ(folder.read("error.log"), "");
}

TEST(log_sink, a_text_keeps_its_zero_bytes_and_is_cut_at_4096) {
  temp_dir folder;
  log_sink sink({{*log_file::open(folder.path() / "error.log"), log_level::warn}});
  sink.write(log_level::warn, 1, std::string_view("a\0b", 3), ", client: x");
  EXPECT_NE(folder.read("error.log").find(std::string("*1 a\0b, client: x\n", 18)),
            std::string::npos);
  sink.write(log_level::warn, 2, std::string(5000, 'x'), ", client: y");
  EXPECT_NE(folder.read("error.log").find("*2 " + std::string(4096, 'x') + ", client: y\n"),
            std::string::npos);
}

TEST(parse_error_log, knows_nginx_s_levels_and_defaults_to_error) {
  const std::string plain[] = {"logs/error.log"};
  auto target = parse_error_log(plain);
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "logs/error.log");
  EXPECT_EQ(target->level, log_level::error);
  const std::string with_level[] = {"stderr", "crit"};
  EXPECT_EQ(parse_error_log(with_level)->level, log_level::crit);
  const std::string parts[] = {"stderr", "debug_http", "debug_event"};
  EXPECT_EQ(parse_error_log(parts)->level, log_level::debug);
}

TEST(parse_error_log, refuses_in_nginx_s_words) {
  const std::string unknown[] = {"x", "loud"};
  EXPECT_EQ(parse_error_log(unknown).error(), "invalid log level \"loud\"");
  const std::string twice[] = {"x", "warn", "error"};
  EXPECT_EQ(parse_error_log(twice).error(), "duplicate log level \"error\"");
  const std::string mixed[] = {"x", "warn", "debug_http"};
  EXPECT_EQ(parse_error_log(mixed).error(), "invalid log level \"debug_http\"");
  const std::string syslog[] = {"syslog:server=127.0.0.1"};
  EXPECT_TRUE(parse_error_log(syslog).error().starts_with("error_log to syslog is not supported"));
  EXPECT_FALSE(parse_error_log({}));
}

}  // namespace
}  // namespace troupe
