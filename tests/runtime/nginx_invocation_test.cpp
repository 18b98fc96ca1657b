// SPDX-License-Identifier: Apache-2.0
#include "runtime/nginx_invocation.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <regex>
#include <vector>

namespace troupe {
namespace {

using words = std::vector<std::string>;

nginx_invocation parsed(const words& given) {
  auto result = parse_nginx_invocation(given);
  EXPECT_TRUE(result) << (result ? "" : result.error());
  return result.value_or(nginx_invocation{});
}
std::string refused(const words& given) {
  auto result = parse_nginx_invocation(given);
  return result ? "" : result.error();
}

TEST(nginx_invocation, is_told_from_a_command_by_its_first_word) {
  EXPECT_TRUE(is_nginx_invocation(words{"-p", "/srv/"}));
  EXPECT_TRUE(is_nginx_invocation(words{"-tq"}));
  EXPECT_FALSE(is_nginx_invocation(words{"run", "-p"}));
  EXPECT_FALSE(is_nginx_invocation(words{"--help"}));
  EXPECT_FALSE(is_nginx_invocation(words{"-"}));
  EXPECT_FALSE(is_nginx_invocation(words{}));
}

TEST(nginx_invocation, parameters_follow_in_the_word_or_in_the_next) {
  auto apart = parsed({"-p", "/srv/", "-c", "conf/a.conf", "-e", "log", "-g", "daemon off;"});
  EXPECT_EQ(apart.prefix, "/srv/");
  EXPECT_EQ(apart.conf, "conf/a.conf");
  EXPECT_EQ(apart.error_log, "log");
  EXPECT_EQ(apart.directives, "daemon off;");
  EXPECT_EQ(parsed({"-p/srv/"}).prefix, "/srv/");
  EXPECT_EQ(parsed({"-tqc", "a.conf"}).conf, "a.conf");
}

TEST(nginx_invocation, switches_come_in_bundles) {
  auto bundle = parsed({"-tqV"});
  EXPECT_TRUE(bundle.test && bundle.quiet && bundle.configure_options && bundle.version);
  EXPECT_FALSE(bundle.dump);
  EXPECT_TRUE(parsed({"-T"}).test && parsed({"-T"}).dump);
  EXPECT_TRUE(parsed({"-?"}).help && parsed({"-h"}).help);
}

TEST(nginx_invocation, refuses_in_nginx_s_words) {
  EXPECT_EQ(refused({"-x"}), "invalid option: \"x\"");
  EXPECT_EQ(refused({"-t", "stray"}), "invalid option: \"stray\"");
  EXPECT_EQ(refused({"-p"}), "option \"-p\" requires directory name");
  EXPECT_EQ(refused({"-c"}), "option \"-c\" requires file name");
  EXPECT_EQ(refused({"-e"}), "option \"-e\" requires file name");
  EXPECT_EQ(refused({"-g"}), "option \"-g\" requires parameter");
  EXPECT_EQ(refused({"-s"}), "option \"-s\" requires parameter");
  EXPECT_EQ(refused({"-s", "kill"}), "invalid option: \"-s kill\"");
  EXPECT_EQ(refused({"-c", ""}), "option \"-c\" requires file name");
}

TEST(nginx_invocation, signals_have_nginx_s_names) {
  EXPECT_EQ(nginx_signal("stop"), SIGTERM);
  EXPECT_EQ(nginx_signal("quit"), SIGQUIT);
  EXPECT_EQ(nginx_signal("reopen"), SIGUSR1);
  EXPECT_EQ(nginx_signal("reload"), SIGHUP);
  EXPECT_EQ(nginx_signal("STOP"), 0);
}

TEST(nginx_invocation, paths_start_from_the_prefix) {
  auto options = options_of(parsed({"-p", "/srv/app", "-c", "conf/a.conf", "-e", "logs/e.log"}));
  EXPECT_EQ(options.prefix, "/srv/app/");
  EXPECT_EQ(options.conf, "/srv/app/conf/a.conf");
  EXPECT_EQ(options.error_log, "/srv/app/logs/e.log");
  EXPECT_EQ(options_of(parsed({"-p", "/srv/app/"})).prefix, "/srv/app/");
  EXPECT_EQ(options_of(parsed({"-c", "/etc/a.conf"})).conf, "/etc/a.conf");
  EXPECT_EQ(options_of(parsed({"-t"})).error_log, "stderr");
  EXPECT_EQ(options_of(parsed({"-p", "here"})).prefix,
            (std::filesystem::current_path() / "here/").string());
}

TEST(nginx_invocation, tools_find_the_version_that_it_behaves_as) {
  const std::string text = nginx_version_text(true);
  std::smatch found;
  ASSERT_TRUE(std::regex_search(text, found,
                                std::regex(R"((?:nginx|openresty+?)[^/]*/(\d+)\.(\d+)\.(\d+))")));
  EXPECT_EQ(found[1].str() + "." + found[2].str() + "." + found[3].str(), "1.22.1");
  EXPECT_TRUE(std::regex_search(text, std::regex(R"(built with OpenSSL \d+\.\d+\.\d+)")));
  EXPECT_NE(text.find("pcre"), std::string::npos);
  EXPECT_EQ(nginx_version_text(false), "nginx version: troupe/1.22.1\n");
}

}  // namespace
}  // namespace troupe
