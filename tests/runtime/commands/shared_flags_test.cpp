// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/shared_flags.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace troupe {
namespace {

using tests::temp_dir;
using given = std::vector<std::string>;

class shared_flags_test : public testing::Test {
 protected:
  void TearDown() override {
    for (const std::string& name : set_) unsetenv(name.c_str());
  }
  void environment(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }
  // The flags of `do PATH`, or the exit status and what was said on stderr.
  tl::expected<shared_flags, int> parse(const given& words) {
    path_.clear();
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    auto flags = parse_words(
        {.name = "do",
         .help = "Does it.",
         .examples = "  troupe do it\n",
         .arguments = {{.name = "PATH", .help = "what", .value = &path_}},
         .flags = {{"--watch", "", "goes on", &watch_}, {"--expect", "N", "only then", &expect_}}},
        words);
    said_ = testing::internal::GetCapturedStderr();
    printed_ = testing::internal::GetCapturedStdout();
    return flags;
  }

  std::string path_;
  bool watch_ = false;
  std::optional<std::uint64_t> expect_;
  std::string said_;
  std::string printed_;
  temp_dir folder_;

 private:
  std::vector<std::string> set_;
};

TEST_F(shared_flags_test, each_has_its_default) {
  auto flags = parse({"app"});
  ASSERT_TRUE(flags);
  EXPECT_EQ(path_, "app");
  EXPECT_EQ(flags->name, "local");
  EXPECT_EQ(flags->data, "");
  EXPECT_FALSE(flags->port);
  EXPECT_EQ(flags->shards, 0u);
  EXPECT_FALSE(flags->log_level);
  EXPECT_TRUE(flags->values.empty());
  EXPECT_FALSE(flags->json);
}

TEST_F(shared_flags_test, the_command_line_gives_each) {
  auto flags =
      parse({"--name", "b", "app", "--data=/d", "--port", "0", "--shards", "3", "--log-level",
             "debug", "--set", "a=1", "--set", "b=x=y", "--json", "--watch", "--expect", "7"});
  ASSERT_TRUE(flags) << said_;
  const node_options options = flags->options();
  EXPECT_EQ(options.name, "b");
  EXPECT_EQ(flags->data, "/d");
  EXPECT_EQ(options.port, 0);
  EXPECT_EQ(options.shards, 3u);
  EXPECT_EQ(options.log_level, net::log_level::debug);
  EXPECT_EQ(options.values.at("a"), "1");
  EXPECT_EQ(options.values.at("b"), "x=y");
  EXPECT_TRUE(flags->json);
  EXPECT_TRUE(watch_);
  EXPECT_EQ(expect_, 7u);
}

TEST_F(shared_flags_test, the_last_of_several_wins) {
  auto flags = parse({"--port", "1", "app", "--port", "2"});
  ASSERT_TRUE(flags) << said_;
  EXPECT_EQ(flags->port, 2);
}

TEST_F(shared_flags_test, a_flag_beats_the_environment_which_beats_the_file) {
  const std::string file = folder_.write("troupe.toml",
                                         "name = \"of-file\"\n"
                                         "port = 1\n"
                                         "shards = 2\n"
                                         "log-level = \"warn\"\n"
                                         "json = true\n"
                                         "[set]\n"
                                         "greeting = \"hello there\"\n");
  environment("TROUPE_PORT", "10");
  environment("TROUPE_SHARDS", "20");
  auto flags = parse({"app", "--config", file, "--shards", "200"});
  ASSERT_TRUE(flags) << said_;
  EXPECT_EQ(flags->name, "of-file");
  EXPECT_EQ(flags->port, 10);
  EXPECT_EQ(flags->shards, 200u);
  EXPECT_EQ(flags->log_level, net::log_level::warn);
  EXPECT_EQ(flags->values.at("greeting"), "hello there");
  EXPECT_TRUE(flags->json);
}

TEST_F(shared_flags_test, the_file_may_be_named_by_the_environment) {
  environment("TROUPE_CONFIG", folder_.write("troupe.toml", "name = \"of-file\"\n"));
  environment("TROUPE_SET", "a=1,b=2");
  auto flags = parse({"app"});
  ASSERT_TRUE(flags) << said_;
  EXPECT_EQ(flags->name, "of-file");
  EXPECT_EQ(flags->values.at("b"), "2");
}

TEST_F(shared_flags_test, wrong_usage_is_status_2_and_says_what_is_wrong) {
  const struct {
    given words;
    std::string said;
  } cases[] = {
      {{}, "PATH is required\n"},
      {{"app", "--prot", "9"}, "unknown flag \"--prot\"\n  hint: did you mean --port?\n"},
      {{"app", "more"}, "unexpected word \"more\"\n"},
      {{"app", "--port", "65536"}, "--port"},
      {{"app", "--port", "-1"}, "--port"},
      {{"app", "--shards", "0"}, "--shards"},
      {{"app", "--log-level", "loud"}, "--log-level: invalid log level \"loud\"\n"},
      {{"app", "--set", "novalue"}, "--set: \"novalue\" is no KEY=VALUE\n"},
      {{"app", "--name", "../x"}, "--name: \"../x\" is no name"},
      {{"app", "--config", "/nowhere.toml"}, "/nowhere.toml"},
  };
  for (const auto& each : cases) {
    auto flags = parse(each.words);
    ASSERT_FALSE(flags) << each.said;
    EXPECT_EQ(flags.error(), exit_usage);
    EXPECT_NE(said_.find(each.said), std::string::npos) << said_;
    EXPECT_NE(said_.find("hint: "), std::string::npos) << said_;
    EXPECT_EQ(printed_, "");
  }
}

TEST_F(shared_flags_test, what_is_wrong_in_a_file_or_a_variable_names_it) {
  const std::string file = folder_.write("troupe.toml", "nmae = \"x\"\n");
  EXPECT_FALSE(parse({"app", "--config", file}));
  EXPECT_NE(said_.find(file + ": unknown setting \"nmae\""), std::string::npos) << said_;
  environment("TROUPE_PORT", "many");
  EXPECT_FALSE(parse({"app"}));
  EXPECT_TRUE(said_.starts_with("TROUPE_PORT: ")) << said_;
}

TEST_F(shared_flags_test, help_shows_flags_and_examples_and_is_no_error) {
  auto flags = parse({"--help"});
  ASSERT_FALSE(flags);
  EXPECT_EQ(flags.error(), exit_done);
  EXPECT_EQ(said_, "");
  for (const char* part :
       {"Does it.", "--watch", "--expect N", "--log-level L", "Examples\n  troupe do it"}) {
    EXPECT_NE(printed_.find(part), std::string::npos) << part << '\n' << printed_;
  }
}

}  // namespace
}  // namespace troupe
